/* WebSocket frames (RFC 6455, 5.2) and the handshake of a client, as far as the programs here need them. */

#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The key of the example in RFC 6455, 1.3, and the answer that belongs to it. */
#define WEBSOCKET_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define WEBSOCKET_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { FIN = 0x80, MASKED = 0x80, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, HEADER_MAX = 14 };

struct frame {
    unsigned char opcode;
    size_t header;  /* size of the header, the mask included */
    size_t payload; /* size of the payload */
};

/* Reads a header of `size` bytes or fewer; 0 when some of it is still missing. */
static int read_frame_header(const unsigned char *data, size_t size, struct frame *frame)
{
    size_t length, extended;

    if (size < 2)
        return 0;
    length = data[1] & 127;
    extended = length == 127 ? 8 : length == 126 ? 2 : 0;
    frame->opcode = data[0] & 15;
    frame->header = 2 + extended + (data[1] & MASKED ? 4 : 0);
    if (size < frame->header)
        return 0;
    if (extended) {
        length = 0;
        for (size_t i = 0; i < extended; i++)
            length = length << 8 | data[2 + i];
    }
    frame->payload = length;
    return 1;
}

/* Writes a header (without the mask's four bytes) and returns its size. */
static size_t write_frame_header(unsigned char *data, unsigned char first, size_t payload, unsigned char masked)
{
    size_t extended = payload < 126 ? 0 : payload < 65536 ? 2 : 8;

    data[0] = first;
    data[1] = (unsigned char)(masked | (extended == 0 ? payload : extended == 2 ? 126 : 127));
    for (size_t i = 0; i < extended; i++)
        data[2 + i] = (unsigned char)(payload >> 8 * (extended - 1 - i));
    return 2 + extended;
}

static void apply_mask(unsigned char *to, const unsigned char *from, size_t size, const unsigned char *mask)
{
    uint32_t key, word;
    size_t i = 0;

    memcpy(&key, mask, sizeof key);
    for (; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, from + i, sizeof word);
        word ^= key;
        memcpy(to + i, &word, sizeof word);
    }
    for (; i < size; i++)
        to[i] = from[i] ^ mask[i % 4];
}

/* Connects and asks for a WebSocket; the connection, or -1 after a message to standard error.
 *
 * source: the local address 127.0.0.source, because one address has only some 28,000 ports.
 */
__attribute__((unused)) static int ask_for_websocket(int port, const char *path, int source)
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000u + (unsigned)source)};
    struct sockaddr_in peer = {.sin_family = AF_INET,
                               .sin_port = htons((unsigned short)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 30};
    const int on = 1;
    char text[2048];
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: " WEBSOCKET_KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n",
                          path, port);

    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    /* Choose the port when the peer is known (ip(7)): it may then be one that serves, or has just served, another peer. */
    setsockopt(connection, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(connection, (struct sockaddr *)&local, sizeof local) ||
        connect(connection, (struct sockaddr *)&peer, sizeof peer) ||
        send(connection, text, (size_t)length, MSG_NOSIGNAL) != length) {
        perror("connect");
        close(connection);
        return -1;
    }
    return connection;
}

/* Whether the answer is that the connection is a WebSocket now; if not, a message to standard error says what it is. */
__attribute__((unused)) static int became_websocket(int connection)
{
    char text[2048] = "";
    size_t size = 0;

    /* One byte at a time: what follows the head belongs to the WebSocket. */
    while (size < sizeof text - 1 && recv(connection, text + size, 1, 0) == 1)
        if (++size >= 4 && !memcmp(text + size - 4, "\r\n\r\n", 4)) {
            if (!strncmp(text, "HTTP/1.1 101", 12))
                return 1;
            break;
        }
    text[size] = 0;
    fprintf(stderr, "no WebSocket: %.*s\n", (int)strcspn(text, "\r\n"), *text ? text : "the connection was closed");
    return 0;
}

#endif
