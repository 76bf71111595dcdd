/* What the programs that show the limit share: they make the system calls of a server and nothing else.
 *
 * Nothing is parsed, nothing is checked, no deadline is kept, so what they cost is what the kernel costs. No server can be
 * below them for long, and the distance to them is what a server's own work costs. They are no servers: a request that
 * comes in two pieces is answered twice or wrongly.
 */

#ifndef LIMIT_H
#define LIMIT_H

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HELLO "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!"

enum { EVENTS = 256, BACKLOG = 2048 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

__attribute__((unused)) static int listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "%s: too long for a unix socket\n", path);
        exit(1);
    }
    strcpy(address.sun_path, path);
    unlink(path);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || chmod(path, 0666) ||
        listen(listener, BACKLOG))
        fail(path);
    return listener;
}

static void watch(int epoll, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event))
        fail("epoll_ctl");
}

/* Calls ready(epoll, descriptor) for whatever has something to read, for ever. */
static void serve(int listener, void (*ready)(int epoll, int listener, int descriptor))
{
    struct epoll_event events[EVENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    watch(epoll, listener);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            ready(epoll, listener, events[i].data.fd);
    }
}

#endif
