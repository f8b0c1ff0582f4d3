/* A small HTTP server inside of a test: threads and sockets, and an answer that the test writes byte by byte, so
 * that it can be wrong in any way. For tests/unit only. */
#ifndef TOOTFS_TESTS_HTTP_SERVER_H
#define TOOTFS_TESTS_HTTP_SERVER_H

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SERVER_CONNECTIONS = 256, SERVER_HEAD_BYTES = 32 << 10, SERVER_BODY_BYTES = 32 << 20 };

struct server_request {
	int fd;
	unsigned number; /* of all requests, from 0 */
	char method[16], target[4096], head[SERVER_HEAD_BYTES];
	char *body; /* NUL-terminated; not read where the server says early */
	size_t body_bytes;
};

struct server {
	/* true = the connection is kept; called from several threads */
	bool (*answer)(struct server *s, struct server_request *q);
	void *arg;
	bool early; /* answer before the body is read */
	int fd, port;
	pthread_t thread, workers[SERVER_CONNECTIONS];
	int sockets[SERVER_CONNECTIONS];
	atomic_int connections, requests;
	atomic_bool stopping;
	pthread_mutex_t mutex;
};

static inline void server_sleep_ms(int ms)
{
	nanosleep(&(struct timespec){ms / 1000, (ms % 1000) * 1000000L}, NULL);
}

static inline void server_send(const struct server_request *q, const void *bytes, size_t length)
{
	const char *p = bytes;

	while (length > 0) {
		ssize_t n = send(q->fd, p, length, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		p += n;
		length -= (size_t)n;
	}
}

__attribute__((format(printf, 2, 3))) static inline void server_printf(const struct server_request *q,
									const char *fmt, ...)
{
	char *text;
	va_list args;

	va_start(args, fmt);
	int n = vasprintf(&text, fmt, args);
	va_end(args);
	assert(n >= 0);
	server_send(q, text, (size_t)n);
	free(text);
}

/* A complete answer; headers is "" or lines with CRLF. */
static inline void server_reply(const struct server_request *q, int status, const char *headers, const char *body)
{
	server_printf(q, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body), headers, body);
}

/* The value of a header of the request, in a static buffer of the thread; NULL when there is none. */
static inline const char *server_header(const struct server_request *q, const char *name)
{
	static _Thread_local char value[8192];
	size_t n = strlen(name);

	for (const char *p = strstr(q->head, "\r\n"); p; p = strstr(p, "\r\n")) {
		p += 2;
		if (strncasecmp(p, name, n) != 0 || p[n] != ':')
			continue;
		p += n + 1;
		p += strspn(p, " ");
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(p, "\r"), p);
		return value;
	}
	return NULL;
}

/* Ends the connection with a reset. */
static inline void server_reset(const struct server_request *q)
{
	struct linger l = {.l_onoff = 1, .l_linger = 0};

	setsockopt(q->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

static inline bool server_read_head(struct server_request *q, size_t *used)
{
	char *end;

	*used = 0;
	do {
		ssize_t n = recv(q->fd, q->head + *used, sizeof(q->head) - 1 - *used, 0);
		if (n <= 0)
			return false;
		*used += (size_t)n;
		q->head[*used] = '\0';
	} while (!(end = strstr(q->head, "\r\n\r\n")));
	size_t head = (size_t)(end - q->head) + 4;
	q->body = malloc(SERVER_BODY_BYTES + 1);
	assert(q->body);
	q->body_bytes = *used - head;
	memcpy(q->body, q->head + head, q->body_bytes);
	q->head[head] = '\0';
	return sscanf(q->head, "%15s %4095s", q->method, q->target) == 2;
}

static inline bool server_read_body(struct server_request *q)
{
	const char *text = server_header(q, "content-length");
	size_t length = text ? strtoul(text, NULL, 10) : 0;

	assert(length <= SERVER_BODY_BYTES);
	while (q->body_bytes < length) {
		ssize_t n = recv(q->fd, q->body + q->body_bytes, length - q->body_bytes, 0);
		if (n <= 0)
			return false;
		q->body_bytes += (size_t)n;
	}
	q->body[q->body_bytes] = '\0';
	return true;
}

struct server_worker {
	struct server *s;
	int fd, slot;
};

static inline void *server_worker(void *arg)
{
	struct server_worker w = *(struct server_worker *)arg;
	bool keep = true;

	free(arg);
	while (keep && !w.s->stopping) {
		struct server_request *q = calloc(1, sizeof(*q));
		size_t used;

		assert(q);
		q->fd = w.fd;
		keep = server_read_head(q, &used);
		if (keep && !w.s->early)
			keep = server_read_body(q);
		if (keep) {
			q->number = (unsigned)atomic_fetch_add(&w.s->requests, 1);
			keep = w.s->answer(w.s, q);
		}
		free(q->body);
		free(q);
	}
	pthread_mutex_lock(&w.s->mutex);
	w.s->sockets[w.slot] = -1;
	close(w.fd);
	pthread_mutex_unlock(&w.s->mutex);
	return NULL;
}

static inline void *server_accept(void *arg)
{
	struct server *s = arg;

	for (;;) {
		int fd = accept(s->fd, NULL, NULL);
		if (fd < 0 || s->stopping) {
			if (fd >= 0)
				close(fd);
			return NULL;
		}
		struct server_worker *w = malloc(sizeof(*w));
		assert(w && s->connections < SERVER_CONNECTIONS);
		*w = (struct server_worker){s, fd, s->connections};
		pthread_mutex_lock(&s->mutex);
		s->sockets[w->slot] = fd;
		pthread_mutex_unlock(&s->mutex);
		int r = pthread_create(&s->workers[s->connections], NULL, server_worker, w);
		assert(r == 0);
		s->connections++;
	}
}

static inline struct server *server_start(bool (*answer)(struct server *s, struct server_request *q), void *arg)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(a);
	struct server *s = calloc(1, sizeof(*s));

	assert(s);
	s->answer = answer;
	s->arg = arg;
	pthread_mutex_init(&s->mutex, NULL);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = bind(s->fd, (struct sockaddr *)&a, sizeof(a));
	assert(r == 0);
	r = listen(s->fd, 64);
	assert(r == 0);
	getsockname(s->fd, (struct sockaddr *)&a, &length);
	s->port = ntohs(a.sin_port);
	r = pthread_create(&s->thread, NULL, server_accept, s);
	assert(r == 0);
	return s;
}

static inline void server_stop(struct server *s)
{
	s->stopping = true;
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
	pthread_mutex_lock(&s->mutex);
	for (int i = 0; i < s->connections; i++)
		if (s->sockets[i] >= 0)
			shutdown(s->sockets[i], SHUT_RDWR);
	pthread_mutex_unlock(&s->mutex);
	for (int i = 0; i < s->connections; i++)
		pthread_join(s->workers[i], NULL);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

#endif
