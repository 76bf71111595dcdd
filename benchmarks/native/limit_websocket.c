/* The limit of a WebSocket echo: recv, unmask into the answer, send. Usage: limit_websocket PORT
 *
 * The handshake is answered without being read, always for the key that ws_load and ws_idle send. Frames are only
 * delimited (RFC 6455, 5.2), so that an answer is an answer; whatever their opcode says, they are sent back.
 */

#include "limit.h"
#include "websocket.h"

#include <netinet/tcp.h>

enum { CONNECTIONS = 32768, CAPACITY = 1 << 18 };

struct connection {
    int open;            /* whether the handshake is over */
    size_t size;         /* of what has arrived and waits for its rest */
    unsigned char *data; /* kept for the next connection with this descriptor */
};

static struct connection connections[CONNECTIONS];

static void handshake(int descriptor, struct connection *it)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: " WEBSOCKET_ACCEPT "\r\n\r\n";

    if (memmem(it->data, it->size, "\r\n\r\n", 4)) {
        it->open = 1;
        it->size = 0;
        send(descriptor, answer, sizeof answer - 1, MSG_NOSIGNAL);
    }
}

static void echo(int descriptor, struct connection *it)
{
    static unsigned char out[CAPACITY];
    size_t taken = 0, put = 0;
    struct frame frame;

    while (read_frame_header(it->data + taken, it->size - taken, &frame) &&
           frame.header + frame.payload <= it->size - taken) {
        const unsigned char *in = it->data + taken;

        put += write_frame_header(out + put, in[0], frame.payload, 0);
        apply_mask(out + put, in + frame.header, frame.payload, in + frame.header - 4);
        put += frame.payload;
        taken += frame.header + frame.payload;
    }
    if (put)
        send(descriptor, out, put, MSG_NOSIGNAL);
    it->size -= taken;
    memmove(it->data, it->data + taken, it->size);
}

static void ready(int epoll, int listener, int descriptor)
{
    const int on = 1;
    int fresh;

    if (descriptor != listener) {
        struct connection *it = &connections[descriptor];
        ssize_t got = recv(descriptor, it->data + it->size, CAPACITY - it->size, 0);

        if (got == 0)
            close(descriptor);
        if (got <= 0)
            return;
        it->size += (size_t)got;
        (it->open ? echo : handshake)(descriptor, it);
        return;
    }
    while ((fresh = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *it = &connections[fresh];

        if (fresh >= CONNECTIONS || (!it->data && !(it->data = malloc(CAPACITY))))
            fail("connection");
        it->open = 0;
        it->size = 0;
        setsockopt(fresh, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(epoll, fresh);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    address.sin_port = htons((unsigned short)atoi(argv[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, BACKLOG))
        fail("listen");
    serve(listener, ready);
}
