/* Waiting is the daemon's own work (POST /sync). Who it is, the kernel says of the other end of the socket: no file has to be
 * believed, and it may be a daemon that an earlier plugin has started. */
#include "uploads.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include "tools/client/client.h"
#include "tools/client/connection.h"

static void on_line(void *arg, const char *kind, const json_t *object)
{
	(void)arg;
	(void)kind;
	(void)object;
}

int uploads_wait(const char *cache, unsigned seconds, struct buf *left)
{
	struct client_request request = {"POST", "/sync", NULL};
	json_t *options = json_pack("{sI}", "timeout_s", (json_int_t)(seconds ? seconds : 1)), *end = NULL;
	struct client_place place;
	int error = options ? client_of_cache(cache, &place, left) : -ENOMEM;

	if (!error) {
		request.body = options;
		error = client_stream(&place, &request, on_line, NULL, &end, left);
		client_place_destroy(&place);
	}
	if (error && !left->length)
		buf_text(left, strerror(-error));
	json_decref(end);
	json_decref(options);
	return error;
}

int uploads_daemon(const char *cache)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct client_place place;
	AUTO_CLOSE int fd = -1;
	struct ucred peer;
	socklen_t length = sizeof(peer);
	int error;

	if (client_of_cache(cache, &place, &why))
		return -1;
	error = connection_open(&place, &fd, &why);
	client_place_destroy(&place);
	if (error || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) || peer.pid <= 0)
		return -1;
	return (int)syscall(SYS_pidfd_open, peer.pid, 0);
}
