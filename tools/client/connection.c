/* Who is at the other end is asked of the kernel: a mount says where its socket is, and whoever mounted it could name
 * somebody else's. */
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include "cache/base/clock.h"

static int wait_ready(int fd, short events, int64_t until_ms)
{
	struct pollfd one = {.fd = fd, .events = events};

	for (;;) {
		int64_t left_ms = until_ms - clock_ms();
		int n = poll(&one, 1, left_ms > 0 ? (int)left_ms : 0);

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* A unix socket that is full says EAGAIN, and nothing tells when it is not. */
static int connect_to(int fd, const struct sockaddr_un *name)
{
	const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
	int64_t until_ms = clock_ms() + CLIENT_SILENCE_MS;

	while (connect(fd, (const struct sockaddr *)name, sizeof(*name))) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (clock_ms() >= until_ms)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int check_peer(int fd, const struct client_place *place, struct buf *why)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length))
		return -errno;
	if (place->uid >= 0 ? (int64_t)peer.uid == place->uid : peer.uid == 0 || peer.uid == geteuid())
		return 0;
	buf_printf(why, "the daemon at %s belongs to user %ld, who did not make this mount", place->socket,
		   (long)peer.uid);
	return -EPERM;
}

/* The socket's folder is opened, since a path of more than 107 bytes cannot be connected to. */
static int open_to(const struct client_place *place, int *fd, struct buf *why)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	const char *slash = strrchr(place->socket, '/');
	AUTO_FREE char *folder = slash ? strndup(place->socket, (size_t)(slash - place->socket) + 1) : NULL;
	AUTO_CLOSE int folder_fd = folder ? open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	int r;

	if (folder_fd < 0)
		return folder ? -errno : -EINVAL;
	r = snprintf(name.sun_path, sizeof(name.sun_path), "/proc/self/fd/%d/%s", folder_fd, slash + 1);
	if (r < 0 || (size_t)r >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return -errno;
	r = connect_to(*fd, &name);
	return r ? r : check_peer(*fd, place, why);
}

int connection_open(const struct client_place *place, int *fd, struct buf *why)
{
	int r;

	*fd = -1;
	r = open_to(place, fd, why);
	if (!r)
		return 0;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	if (!why->length && r == -EACCES)
		buf_printf(why, "%s: only root and the user who mounted may ask", place->socket);
	else if (!why->length && (r == -ECONNREFUSED || r == -ENOENT))
		buf_printf(why, "no daemon is at %s: it is not mounted any more, or is just starting", place->socket);
	else if (!why->length)
		buf_printf(why, "%s: %s", place->socket, strerror(-r));
	return r;
}

int connection_send(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
		int r;

		if (n >= 0) {
			bytes += n;
			length -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = wait_ready(fd, POLLOUT, clock_ms() + CLIENT_SILENCE_MS);
		if (r)
			return r;
	}
	return 0;
}

ssize_t connection_read(int fd, char *out, size_t space, int64_t silence_ms)
{
	for (;;) {
		int r = wait_ready(fd, POLLIN, clock_ms() + silence_ms);
		ssize_t n;

		if (r)
			return r;
		n = read(fd, out, space);
		if (n >= 0)
			return n;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}
