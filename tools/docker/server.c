/* Engines keep connections open for as long as they like, and dockerd has ten at once when it starts: no idle time-out. Only
 * who may open the socket gets here (0600, in a folder of root's), so nothing is asked of a request but its path and body:
 * Host may be empty, Accept and Content-Type are whatever the engine's version sends.
 *
 * exchange: one request; libmicrohttpd keeps it from the first call of http_request to completed. A Mount whose answer could
 * not be delivered is undone there. */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "calls.h"
#include "request.h"

#define CONTENT_TYPE "application/vnd.docker.plugins.v1.2+json"

enum { CONNECTIONS_MAX = 256, BACKLOG = 256, STOP_MS = 100 * 1000 };

struct server {
	struct volumes *volumes;
	struct MHD_Daemon *daemon;
	struct lock lock;
	struct wakeup idle;
	struct {
		unsigned calls; /* under way */
	} locked;
};

struct exchange {
	struct buf body;
	bool too_long;
	struct calls_undo undo;
};

static void count(struct server *server, int by)
{
	lock_take(&server->lock);
	server->locked.calls += (unsigned)by;
	if (server->locked.calls == 0)
		wakeup_all(&server->idle);
	lock_drop(&server->lock);
}

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const struct buf *answer)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(answer->length, (void *)(uintptr_t)buf_string(answer), MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	result = MHD_add_response_header(response, "Content-Type", CONTENT_TYPE);
	if (result == MHD_YES)
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer(struct server *server, struct exchange *exchange, struct MHD_Connection *connection, const char *path,
			      const char *method)
{
	AUTO_BUF struct buf text = BUF_EMPTY;
	unsigned status = MHD_HTTP_INTERNAL_SERVER_ERROR;

	if (strcmp(method, "POST"))
		status = MHD_HTTP_METHOD_NOT_ALLOWED, calls_refuse(&text, "calls are made by POST");
	else if (exchange->too_long)
		calls_refuse(&text, "the request is too long");
	else if (exchange->body.failed)
		calls_refuse(&text, "out of memory");
	else
		status = calls_answer(server->volumes, path, &exchange->body, &text, &exchange->undo);
	return text.failed ? MHD_NO : reply(connection, status, &text);
}

static enum MHD_Result http_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
				    const char *version, const char *bytes, size_t *length, void **state)
{
	struct exchange *exchange = *state;
	struct server *server = arg;

	(void)version;
	if (!exchange) {
		*state = exchange = calloc(1, sizeof(*exchange));
		if (exchange)
			count(server, 1);
		return exchange ? MHD_YES : MHD_NO;
	}
	if (*length) {
		exchange->too_long = exchange->too_long || exchange->body.length + *length > REQUEST_BODY_MAX;
		if (!exchange->too_long)
			buf_append(&exchange->body, bytes, *length);
		*length = 0;
		return MHD_YES;
	}
	return answer(server, exchange, connection, path, method);
}

static void completed(void *arg, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode how)
{
	struct exchange *exchange = *state;
	struct server *server = arg;

	(void)connection;
	*state = NULL;
	if (!exchange)
		return;
	if (how != MHD_REQUEST_TERMINATED_COMPLETED_OK)
		calls_undo(server->volumes, &exchange->undo);
	calls_undo_destroy(&exchange->undo);
	buf_destroy(&exchange->body);
	free(exchange);
	count(server, -1);
}

__attribute__((format(printf, 2, 0))) static void log_library(void *arg, const char *format, va_list arguments)
{
	char text[512];

	(void)arg;
	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = '\0';
	log_debug("server: %s", text);
}

int server_listen(const char *path, int *out)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *folder = slash && slash != path ? strndup(path, (size_t)(slash - path)) : NULL;
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (snprintf(name.sun_path, sizeof(name.sun_path), "%s", path) >= (int)sizeof(name.sun_path))
		return -ENAMETOOLONG;
	if (folder && mkdir(folder, 0700) && errno != EEXIST)
		return -errno;
	if (unlink(path) && errno != ENOENT)
		return -errno;
	/* what bind(2) makes gets the mode that the socket has */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&name, sizeof(name)) || listen(fd, BACKLOG))
		return -errno;
	*out = fd;
	fd = -1;
	return 0;
}

int server_start(struct volumes *v, int fd, struct server **out)
{
	struct server *server = calloc(1, sizeof(*server));
	sigset_t all, before;

	*out = NULL;
	if (!server) {
		close(fd);
		return -ENOMEM;
	}
	server->volumes = v;
	lock_init(&server->lock);
	wakeup_init(&server->idle);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	server->daemon = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
					    MHD_USE_ITC | MHD_USE_ERROR_LOG,
					0, NULL, NULL, http_request, server, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,
					MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, completed, server,
					MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!server->daemon) {
		server_stop(&server);
		return -EAGAIN;
	}
	*out = server;
	return 0;
}

void server_stop(struct server **stopped)
{
	struct server *server = *stopped;
	int fd = -1;

	*stopped = NULL;
	if (!server)
		return;
	if (server->daemon) {
		int64_t deadline_ms = clock_ms() + STOP_MS;

		fd = MHD_quiesce_daemon(server->daemon);
		lock_take(&server->lock);
		while (server->locked.calls && wakeup_wait_until(&server->idle, &server->lock, deadline_ms))
			;
		lock_drop(&server->lock);
		MHD_stop_daemon(server->daemon);
	}
	if (fd >= 0)
		close(fd);
	wakeup_destroy(&server->idle);
	lock_destroy(&server->lock);
	free(server);
}
