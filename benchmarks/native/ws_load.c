/* Load for a server that echoes WebSocket messages. Usage: ws_load PORT PATH CONNECTIONS SIZE SECONDS
 *
 * Each connection has one binary message on its way; when it is back, byte for byte, the next one leaves. Prints the
 * number of messages, the seconds they took, and the 50th, 90th and 99th percentile of the times between a message and
 * its echo in microseconds. A wrong byte, a close or a refused handshake ends the program with status 1.
 */

#define _GNU_SOURCE
#include "websocket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

enum { EVENTS = 256, TIMES = 1 << 22, CONTROL_MAX = 125 };

static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

struct connection {
    int descriptor;
    size_t unsent;               /* of the message */
    size_t size;                 /* of what has come of the echo */
    unsigned char *data;         /* what has come */
    double since;                /* when the message was sent */
};

static struct message {
    unsigned char *out, *echo;
    size_t out_size, echo_size;
} message;

static int epoll;
static double *times;
static size_t count;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void make_message(size_t size)
{
    unsigned char *payload = malloc(size + 1);
    size_t header;

    message.out = malloc(size + HEADER_MAX);
    message.echo = malloc(size + HEADER_MAX);
    for (size_t i = 0; i < size; i++)
        payload[i] = (unsigned char)(i * 7 + i / 251);
    header = write_frame_header(message.out, FIN | BINARY, size, MASKED);
    memcpy(message.out + header, mask, sizeof mask);
    apply_mask(message.out + header + sizeof mask, payload, size, mask);
    message.out_size = header + sizeof mask + size;
    header = write_frame_header(message.echo, FIN | BINARY, size, 0);
    memcpy(message.echo + header, payload, size);
    message.echo_size = header + size;
    free(payload);
}

/* Sends what the kernel takes; the rest when it takes more. */
static void push(struct connection *it)
{
    while (it->unsent) {
        ssize_t sent = send(it->descriptor, message.out + message.out_size - it->unsent, it->unsent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0)
            fail("the server broke the connection");
        it->unsent -= (size_t)sent;
    }
}

static void next(struct connection *it)
{
    it->unsent = message.out_size;
    it->since = now();
    push(it);
}

static void pong(struct connection *it, const unsigned char *payload, size_t size)
{
    unsigned char out[HEADER_MAX + CONTROL_MAX];
    size_t header = write_frame_header(out, FIN | PONG, size, MASKED);

    if (it->unsent && it->unsent != message.out_size)
        fail("a ping came within a message of ours; send fewer bytes");
    memcpy(out + header, mask, sizeof mask);
    apply_mask(out + header + sizeof mask, payload, size, mask);
    send(it->descriptor, out, header + sizeof mask + size, MSG_NOSIGNAL);
}

/* Takes one frame, if there is a whole one: the echo, or a ping of the server. */
static int take(struct connection *it)
{
    struct frame frame;
    size_t whole;

    if (!read_frame_header(it->data, it->size, &frame))
        return 0;
    whole = frame.header + frame.payload;
    if (frame.opcode == PING && whole <= HEADER_MAX + CONTROL_MAX) {
        if (it->size < whole)
            return 0;
        pong(it, it->data + frame.header, frame.payload);
    } else {
        if (whole != message.echo_size)
            fail("this is not an echo");
        if (it->size < whole)
            return 0;
        if (memcmp(it->data, message.echo, whole))
            fail("the echo differs from the message");
        if (count < TIMES)
            times[count] = now() - it->since;
        count++;
        next(it);
    }
    it->size -= whole;
    memmove(it->data, it->data + whole, it->size);
    return 1;
}

static void ready(struct connection *it)
{
    size_t room = message.echo_size + HEADER_MAX + CONTROL_MAX;
    ssize_t got;

    push(it);
    got = recv(it->descriptor, it->data + it->size, room - it->size, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        fail("the server closed the connection");
    it->size += (size_t)got;
    while (take(it))
        ;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double percentile(size_t size, double part)
{
    return size ? times[(size_t)((double)(size - 1) * part)] * 1e6 : 0;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    struct connection *all;
    int connections, on = 1;
    double start, end;
    size_t kept;

    if (argc != 6) {
        fprintf(stderr, "usage: %s PORT PATH CONNECTIONS SIZE SECONDS\n", argv[0]);
        return 2;
    }
    connections = atoi(argv[3]);
    make_message(strtoul(argv[4], NULL, 10));
    times = malloc(TIMES * sizeof *times);
    all = calloc((size_t)connections, sizeof *all);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &all[i]};

        all[i].descriptor = ask_for_websocket(atoi(argv[1]), argv[2], 1);
        if (all[i].descriptor < 0 || !became_websocket(all[i].descriptor))
            return 1;
        all[i].data = malloc(message.echo_size + HEADER_MAX + CONTROL_MAX);
        setsockopt(all[i].descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        fcntl(all[i].descriptor, F_SETFL, O_NONBLOCK);
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].descriptor, &event);
    }
    start = now();
    end = start + atof(argv[5]);
    for (int i = 0; i < connections; i++)
        next(&all[i]);
    while (now() < end) {
        int found = epoll_wait(epoll, events, EVENTS, 100);
        for (int i = 0; i < found; i++)
            ready(events[i].data.ptr);
    }
    end = now();
    if (!count)
        fail("no echo came back");
    kept = count < TIMES ? count : TIMES;
    qsort(times, kept, sizeof *times, ascending);
    printf("%zu %.6f %.1f %.1f %.1f\n", count, end - start, percentile(kept, .5), percentile(kept, .9),
           percentile(kept, .99));
    return 0;
}
