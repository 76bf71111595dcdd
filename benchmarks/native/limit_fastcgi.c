/* The limit of FastCGI over kept connections: recv and send for each request. Usage: limit_fastcgi PATH
 *
 * The answer is three records (FastCGI 1.0, 3.3): the response, the end of FCGI_STDOUT, FCGI_END_REQUEST; all for request
 * id 1, which is the only one nginx uses.
 */

#include "limit.h"

enum { HEADER = 8, STDOUT = 6, END_REQUEST = 3 };

static unsigned char answer[256];
static size_t answer_size;

static void record(unsigned char type, const char *content, size_t size)
{
    const unsigned char header[HEADER] = {1, type, 0, 1, (unsigned char)(size >> 8), (unsigned char)size};

    memcpy(answer + answer_size, header, HEADER);
    memcpy(answer + answer_size + HEADER, content, size);
    answer_size += HEADER + size;
}

static void ready(int epoll, int listener, int descriptor)
{
    static char request[65536];
    int connection;

    if (descriptor != listener) {
        ssize_t got = recv(descriptor, request, sizeof request, 0);
        if (got > 0)
            send(descriptor, answer, answer_size, MSG_NOSIGNAL);
        else if (got == 0)
            close(descriptor);
        return;
    }
    while ((connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        watch(epoll, connection);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s PATH\n", argv[0]);
        return 2;
    }
    record(STDOUT, HELLO, sizeof HELLO - 1);
    record(STDOUT, "", 0);
    record(END_REQUEST, "\0\0\0\0\0\0\0", 8);
    serve(listen_unix(argv[1]), ready);
}
