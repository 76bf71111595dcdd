/* The limit of SCGI: accept4, recv, send and close for each request. Usage: limit_scgi PATH */

#include "limit.h"

static const char answer[] = HELLO;

/* Answers if the request is there already; nginx writes it right after connecting, so it nearly always is. */
static int exchange(int connection)
{
    static char request[65536];
    ssize_t got = recv(connection, request, sizeof request, 0);

    if (got < 0)
        return 0;
    if (got > 0)
        send(connection, answer, sizeof answer - 1, MSG_NOSIGNAL);
    close(connection);
    return 1;
}

static void ready(int epoll, int listener, int descriptor)
{
    int connection;

    if (descriptor != listener) {
        exchange(descriptor);
        return;
    }
    while ((connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        if (!exchange(connection))
            watch(epoll, connection);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s PATH\n", argv[0]);
        return 2;
    }
    serve(listen_unix(argv[1]), ready);
}
