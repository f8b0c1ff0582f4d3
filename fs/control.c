/* The server: libmicrohttpd with a thread a connection, so that nobody waits for what another one asked for.
 *
 *     request    client may?  ── no: 403
 *                path and method known?  ── no: 404, 405
 *                body up to 1 MiB        ── no: 413
 *                short call: answered here; work: a stream of its own (control_stream.c)
 *
 * The socket is reached as /proc/self/fd/N/control, since a sun_path has only 108 bytes; its mode is set before it has a
 * name. Who may is asked of the kernel (SO_PEERCRED): root, and the user this runs as. Clients that are slow or silent
 * are closed after IDLE_S; and at once where there are CONNECTIONS_MAX of them already.
 *
 * exchange: one request; libmicrohttpd keeps it from the first call of answer() to completed(). */
#include "control.h"

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
#include "cache/base/log.h"
#include "control_internal.h"
#include "control_scrape.h"

enum { HTTP_TOO_LARGE = 413 }; /* libmicrohttpd has renamed it */
enum { CONNECTIONS_MAX = 256, IDLE_S = 15, BACKLOG = 128, MEMORY_BYTES = 32 * 1024, BLOCK_BYTES = 16 * 1024 };

struct control {
	const struct control_config *config;
	int64_t started_ms;
	int folder_fd;
	struct MHD_Daemon *daemon;
	struct scrape *scrape;
	struct control_streams streams;
};

struct exchange {
	const struct control_call_row *call; /* or */
	const struct control_verb *verb;
	struct buf body;
	char *key;
	struct control_stream *stream;
};

/* -- answers -- */

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type, const char *text)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	result = MHD_add_response_header(response, "Content-Type", type);
	if (result == MHD_YES)
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result reply_words(struct MHD_Connection *connection, unsigned status, const char *words)
{
	json_t *line = json_pack("{so}", "error", control_text(words));
	AUTO_FREE char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

	json_decref(line);
	return text ? reply(connection, status, "application/json", text) : MHD_NO;
}

static ssize_t stream_read(void *arg, uint64_t at, char *out, size_t space)
{
	ssize_t n = control_stream_read(arg, out, space);

	(void)at;
	return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void stream_leave(void *arg)
{
	control_stream_leave(arg);
}

static enum MHD_Result reply_stream(struct MHD_Connection *connection, struct exchange *exchange)
{
	struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, stream_read,
									  exchange->stream, stream_leave);
	enum MHD_Result result;

	if (!response) {
		control_stream_leave(exchange->stream);
		return MHD_NO;
	}
	result = MHD_add_response_header(response, "Content-Type", "application/x-ndjson");
	if (result == MHD_YES)
		result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

/* -- requests -- */

static int fd_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

static bool peer_may(struct MHD_Connection *connection)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	bool known = getsockopt(fd_of(connection), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0;

	if (known && (peer.uid == 0 || peer.uid == geteuid()))
		return true;
	log_warn("control: a client was refused uid=%ld", known ? (long)peer.uid : -1L);
	return false;
}

static void find_route(struct exchange *exchange, const char *path, const char *method, bool *path_known)
{
	for (const struct control_call_row *row = control_calls; row->path; row++)
		if (strcmp(row->path, path) == 0) {
			*path_known = true;
			if (strcmp(row->method, method) == 0)
				exchange->call = row;
		}
	for (const struct control_verb *verb = control_verbs; verb->path; verb++)
		if (strcmp(verb->path, path) == 0) {
			*path_known = true;
			if (strcmp("POST", method) == 0)
				exchange->verb = verb;
		}
}

/* More than that is not even read. */
static bool is_too_long(struct MHD_Connection *connection)
{
	const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");

	return text && (strlen(text) > 7 || strtoull(text, NULL, 10) > CONTROL_BODY_MAX);
}

/* The head is here. */
static enum MHD_Result begin(struct exchange *exchange, struct MHD_Connection *connection, const char *path,
			     const char *method)
{
	bool path_known = false;

	find_route(exchange, path, method, &path_known);
	if (!peer_may(connection))
		return reply_words(connection, MHD_HTTP_FORBIDDEN, "only root and the user who mounted may ask");
	if (!path_known)
		return reply_words(connection, MHD_HTTP_NOT_FOUND, "there is no such call");
	if (!exchange->call && !exchange->verb)
		return reply_words(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "this call has another method");
	if (is_too_long(connection))
		return reply_words(connection, HTTP_TOO_LARGE, "the body is over 1 MiB");
	return MHD_YES;
}

static enum MHD_Result answer_call(struct control *control, struct exchange *exchange,
				   struct MHD_Connection *connection)
{
	AUTO_BUF struct buf out = BUF_EMPTY;
	const char *key = NULL;
	size_t length = 0;
	struct control_query query = {.config = control->config,
				      .started_ms = control->started_ms,
				      .body = buf_string(&exchange->body),
				      .body_bytes = exchange->body.length};
	unsigned status = MHD_HTTP_OK;

	if (MHD_lookup_connection_value_n(connection, MHD_GET_ARGUMENT_KIND, "key", strlen("key"), &key, &length) &&
	    key) {
		query.key = exchange->key = strndup(key, length);
		if (!query.key || strlen(query.key) != length || control_key(query.key, length, &out))
			status = MHD_HTTP_BAD_REQUEST;
	}
	if (status == MHD_HTTP_OK)
		status = exchange->call->call(&query, &out);
	if (out.failed)
		return reply_words(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	if (status != MHD_HTTP_OK)
		return reply_words(connection, status, out.length ? buf_string(&out) : "the key cannot be");
	return reply(connection, status, exchange->call->type, buf_string(&out));
}

static enum MHD_Result answer_verb(struct control *control, struct exchange *exchange,
				   struct MHD_Connection *connection)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	json_t *options;
	int r = control_options(buf_string(&exchange->body), exchange->body.length, &options, &why);

	if (r)
		return reply_words(connection, r == -EINVAL ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_INTERNAL_SERVER_ERROR,
				   why.length ? buf_string(&why) : strerror(-r));
	r = control_stream_begin(&control->streams, exchange->verb, options, fd_of(connection), &exchange->stream);
	if (r == -EBUSY)
		return reply_words(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				   "as much work as may be at a time was asked for already: wait until some of it is done");
	if (r)
		return reply_words(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				   r == -ECANCELED ? "this mount is about to end" : strerror(-r));
	log_info("control: %s begins", exchange->verb->path);
	return reply_stream(connection, exchange);
}

static enum MHD_Result http_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
				    const char *version, const char *bytes, size_t *length, void **state)
{
	struct control *control = arg;
	struct exchange *exchange = *state;

	(void)version;
	if (!exchange) {
		*state = exchange = calloc(1, sizeof(*exchange));
		return exchange ? begin(exchange, connection, path, method) : MHD_NO;
	}
	if (*length) {
		if (exchange->body.length + *length > CONTROL_BODY_MAX)
			return MHD_NO;
		buf_append(&exchange->body, bytes, *length);
		*length = 0;
		return exchange->body.failed ? MHD_NO : MHD_YES;
	}
	return exchange->call ? answer_call(control, exchange, connection)
			      : answer_verb(control, exchange, connection);
}

static void completed(void *arg, struct MHD_Connection *connection, void **state,
		      enum MHD_RequestTerminationCode how)
{
	struct exchange *exchange = *state;

	(void)arg;
	(void)connection;
	(void)how;
	*state = NULL;
	if (!exchange)
		return;
	if (exchange->stream) {
		control_stream_gone(exchange->stream);
		control_stream_leave(exchange->stream);
	}
	buf_destroy(&exchange->body);
	free(exchange->key);
	free(exchange);
}

__attribute__((format(printf, 2, 0))) static void log_library(void *arg, const char *format, va_list arguments)
{
	char text[512];

	(void)arg;
	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = '\0';
	log_debug("control: %s", text);
}

/* -- its life -- */

static int listen_at(int folder_fd, int *out)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(name.sun_path, sizeof(name.sun_path), "/proc/self/fd/%d/" CONTROL_SOCKET, folder_fd);
	if (unlinkat(folder_fd, CONTROL_SOCKET, 0) && errno != ENOENT)
		return -errno;
	/* what bind(2) makes gets the mode that the socket has */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&name, sizeof(name)) || listen(fd, BACKLOG))
		return -errno;
	*out = fd;
	fd = -1;
	return 0;
}

/* Its threads inherit which signals are blocked: all, as in every thread here but the main one. */
static struct MHD_Daemon *serve(struct control *control, int fd)
{
	struct MHD_Daemon *daemon;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	daemon = MHD_start_daemon(
	    MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ERROR_LOG, 0, NULL,
	    NULL, http_request, control, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_BYTES,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return daemon;
}

int control_start(const struct control_config *config, struct control **out, struct buf *why)
{
	struct control *control = calloc(1, sizeof(*control));
	AUTO_CLOSE int fd = -1;
	int r;

	*out = NULL;
	if (!control)
		return -ENOMEM;
	control->config = config;
	control->started_ms = clock_ms();
	control_streams_init(&control->streams, config->cache);
	control->folder_fd = open(config->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = control->folder_fd < 0 ? -errno : listen_at(control->folder_fd, &fd);
	if (!r) {
		control->daemon = serve(control, fd);
		fd = -1; /* libmicrohttpd's, also where it fails */
		r = control->daemon ? 0 : -EAGAIN;
	}
	if (r) {
		buf_printf(why, "the control socket %s/" CONTROL_SOCKET " cannot be made: %s", config->folder,
			   strerror(-r));
		control_stop(&control);
	} else if (config->metrics && scrape_start(config, &control->scrape, why)) {
		log_error("%s; the mount goes on without", buf_string(why));
		buf_clear(why);
	}
	*out = control;
	return r;
}

void control_stop(struct control **control)
{
	struct control *c = *control;

	*control = NULL;
	if (!c)
		return;
	scrape_stop(&c->scrape);
	control_streams_stop(&c->streams);
	if (c->daemon) {
		if (unlinkat(c->folder_fd, CONTROL_SOCKET, 0))
			log_debug("control: the socket is gone already");
		MHD_stop_daemon(c->daemon);
	}
	control_streams_destroy(&c->streams);
	if (c->folder_fd >= 0)
		close(c->folder_fd);
	free(c);
}
