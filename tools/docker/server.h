/* The server on the plugin's socket: libmicrohttpd, with a thread a connection. */
#ifndef TOOTFS_DOCKER_SERVER_H
#define TOOTFS_DOCKER_SERVER_H

#include "cache/base/err.h"
#include "volumes.h"

struct server;

/* A unix socket at path, mode 0600; the folder is made. What another process left there is replaced. */
int server_listen(const char *path, int *fd) MUST_CHECK;
/* fd: listening; becomes the server's. */
int server_start(struct volumes *v, int fd, struct server **out) MUST_CHECK;
/* Waits for the answers to calls under way: an engine repeats a call whose connection breaks without its body. */
void server_stop(struct server **server);

#endif
