/* WebSockets that are open and say nothing. Usage: ws_idle PORT PATH CONNECTIONS
 *
 * Prints "open" when all of them are, answers the server's pings, and ends with standard input. A refused handshake ends
 * the program with status 1, and so does a connection that the server closes.
 */

#define _GNU_SOURCE
#include "websocket.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum { EVENTS = 256, PORTS = 20000, CONTROL_MAX = 125 };

static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

/* A ping is small and written at once, so it comes in one piece; anything else than a ping is not idle. */
static void ready(int connection)
{
    unsigned char in[HEADER_MAX + CONTROL_MAX], out[HEADER_MAX + CONTROL_MAX];
    ssize_t got = recv(connection, in, sizeof in, MSG_DONTWAIT);
    struct frame frame;
    size_t header;

    if (got <= 0 || !read_frame_header(in, (size_t)got, &frame) || frame.opcode != PING ||
        frame.header + frame.payload != (size_t)got) {
        fprintf(stderr, "the server did not leave an idle connection idle\n");
        exit(1);
    }
    header = write_frame_header(out, FIN | PONG, frame.payload, MASKED);
    memcpy(out + header, mask, sizeof mask);
    apply_mask(out + header + sizeof mask, in + frame.header, frame.payload, mask);
    send(connection, out, header + sizeof mask + frame.payload, MSG_NOSIGNAL);
}

static void allow_descriptors(rlim_t wanted)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted;
        if (limit.rlim_max < wanted)
            limit.rlim_max = wanted; /* root may */
        if (setrlimit(RLIMIT_NOFILE, &limit))
            perror("setrlimit");
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    int connections, epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event input = {.events = EPOLLIN, .data.fd = STDIN_FILENO};

    if (argc != 4) {
        fprintf(stderr, "usage: %s PORT PATH CONNECTIONS\n", argv[0]);
        return 2;
    }
    connections = atoi(argv[3]);
    allow_descriptors((rlim_t)connections + 64);
    for (int i = 0; i < connections; i++) {
        int connection = open_websocket(atoi(argv[1]), argv[2], 1 + i / PORTS);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = connection};

        if (connection < 0) {
            fprintf(stderr, "after %d connections\n", i);
            return 1;
        }
        epoll_ctl(epoll, EPOLL_CTL_ADD, connection, &event);
        /* Pings of the first connections must not wait until the last one is open. */
        for (int k = epoll_wait(epoll, events, EVENTS, 0); k > 0; k--)
            ready(events[k - 1].data.fd);
    }
    epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input);
    puts("open");
    fflush(stdout);
    for (;;) {
        int found = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < found; i++) {
            if (events[i].data.fd == STDIN_FILENO)
                return 0;
            ready(events[i].data.fd);
        }
    }
}
