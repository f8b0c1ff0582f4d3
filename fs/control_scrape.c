/* One path, one thread, no body. A look through what is pending takes STATUS_LOOK_MS at most, so a client does not keep
 * the next one waiting for long. */
#include "control_scrape.h"

#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/loopback.h"
#include "control_internal.h"

enum { CLIENTS_MAX = 16, IDLE_S = 10, MEMORY_BYTES = 16 * 1024, BACKLOG = 16 };

struct scrape {
	struct control_query query;
	struct MHD_Daemon *daemon;
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const struct buf *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    text->length, (void *)(uintptr_t)buf_string(text), MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	result = MHD_add_response_header(response, "Content-Type", CONTROL_METRICS_TYPE);
	if (result == MHD_YES)
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result http_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
				    const char *version, const char *bytes, size_t *length, void **state)
{
	const struct scrape *scrape = arg;
	AUTO_BUF struct buf out = BUF_EMPTY;
	unsigned status = MHD_HTTP_OK;

	(void)version;
	(void)bytes;
	(void)state;
	if (strcmp(method, "GET") && strcmp(method, "HEAD")) {
		buf_text(&out, "only GET\n");
		status = MHD_HTTP_METHOD_NOT_ALLOWED;
	} else if (*length) {
		return MHD_NO;
	} else if (strcmp(path, "/metrics")) {
		buf_text(&out, "the counters are at /metrics\n");
		status = MHD_HTTP_NOT_FOUND;
	} else if (control_metrics(&scrape->query, &out) || out.failed) {
		buf_clear(&out);
		buf_text(&out, "the cache cannot say\n");
		status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
	return reply(connection, status, &out);
}

static int listen_at(const char *address, int *out)
{
	struct sockaddr_storage name;
	socklen_t length;
	AUTO_CLOSE int fd = -1;
	int one = 1;

	if (loopback_parse(address, &name, &length))
		return -EINVAL;
	fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&name, length) || listen(fd, BACKLOG))
		return -errno;
	*out = fd;
	fd = -1;
	return 0;
}

int scrape_start(const struct control_config *config, struct scrape **out, struct buf *why)
{
	struct scrape *scrape = calloc(1, sizeof(*scrape));
	sigset_t all, before;
	int fd = -1, r;

	*out = NULL;
	if (!scrape)
		return -ENOMEM;
	scrape->query = (struct control_query){.config = config, .started_ms = clock_ms()};
	r = listen_at(config->metrics, &fd);
	if (!r) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		scrape->daemon = MHD_start_daemon(
		    MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, http_request, scrape,
		    MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CLIENTS_MAX,
		    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		    (size_t)MEMORY_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		r = scrape->daemon ? 0 : -EAGAIN;
	}
	if (r) {
		buf_printf(why, "metrics=%s: %s", config->metrics, strerror(-r));
		scrape_stop(&scrape);
	}
	*out = scrape;
	return r;
}

void scrape_stop(struct scrape **scrape)
{
	struct scrape *s = *scrape;

	*scrape = NULL;
	if (s && s->daemon)
		MHD_stop_daemon(s->daemon);
	free(s);
}
