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

enum { EVENTS = 256, PORTS = 20000, AT_ONCE = 64, CONTROL_MAX = 125, PINGS = 8 };

static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static void pong(int connection, const unsigned char *payload, size_t size)
{
    unsigned char out[HEADER_MAX + CONTROL_MAX];
    size_t header = write_frame_header(out, FIN | PONG, size, MASKED);

    memcpy(out + header, mask, sizeof mask);
    apply_mask(out + header + sizeof mask, payload, size, mask);
    send(connection, out, header + sizeof mask + size, MSG_NOSIGNAL);
}

/* Pings are small and written at once, so they come whole; anything else than pings is not idle. */
static void ready(int connection)
{
    unsigned char in[PINGS * (HEADER_MAX + CONTROL_MAX)];
    ssize_t got = recv(connection, in, sizeof in, MSG_DONTWAIT);
    size_t taken = 0;
    struct frame frame;

    while (got > 0 && taken < (size_t)got && read_frame_header(in + taken, (size_t)got - taken, &frame) &&
           frame.opcode == PING && frame.payload <= CONTROL_MAX &&
           frame.header + frame.payload <= (size_t)got - taken) {
        pong(connection, in + taken + frame.header, frame.payload);
        taken += frame.header + frame.payload;
    }
    if (got <= 0 || taken != (size_t)got) {
        fprintf(stderr, "the server %s\n", got <= 0 ? "closed an idle connection" : "sent more than pings");
        exit(1);
    }
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

/* Opens many, AT_ONCE at a time: a server that sleeps between two looks at its sockets is not to cost us a sleep each. */
static void open_all(int epoll, int port, const char *path, int connections)
{
    struct epoll_event events[EVENTS];
    int asked[AT_ONCE];

    for (int first = 0; first < connections; first += AT_ONCE) {
        int count = connections - first < AT_ONCE ? connections - first : AT_ONCE;

        for (int i = 0; i < count; i++)
            if ((asked[i] = ask_for_websocket(port, path, 1 + first / PORTS)) < 0) {
                fprintf(stderr, "after %d connections\n", first + i);
                exit(1);
            }
        for (int i = 0; i < count; i++) {
            struct epoll_event event = {.events = EPOLLIN, .data.fd = asked[i]};

            if (!became_websocket(asked[i])) {
                fprintf(stderr, "after %d connections\n", first + i);
                exit(1);
            }
            epoll_ctl(epoll, EPOLL_CTL_ADD, asked[i], &event);
        }
        /* Pings of the first connections must not wait until the last one is open. */
        for (int k = epoll_wait(epoll, events, EVENTS, 0); k > 0; k--)
            ready(events[k - 1].data.fd);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event input = {.events = EPOLLIN, .data.fd = STDIN_FILENO};

    if (argc != 4) {
        fprintf(stderr, "usage: %s PORT PATH CONNECTIONS\n", argv[0]);
        return 2;
    }
    allow_descriptors((rlim_t)atoi(argv[3]) + 64);
    open_all(epoll, atoi(argv[1]), argv[2], atoi(argv[3]));
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
