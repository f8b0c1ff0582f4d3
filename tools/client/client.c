/* One connection a call. What comes back is bounded: a head of 16 KiB, an answer of 64 MiB, a line of 1 MiB. */
#include "client.h"

#include <errno.h>
#include <string.h>
#include "cache/base/key.h"
#include "connection.h"
#include "http.h"

enum { ANSWER_MAX = 64 << 20, LINE_MAX_BYTES = 1 << 20, READ_BYTES = 64 * 1024 };

struct answer {
	int fd;
	struct http_head head;
	struct buf bytes; /* that came, the head's taken off */
};

static int lost(struct buf *why, int error)
{
	if (!why->length && error == -ETIMEDOUT)
		buf_text(why, "the daemon does not answer");
	else if (!why->length && error == -EPIPE)
		buf_text(why, "the connection broke off: the daemon ended, or was unmounted");
	else if (!why->length)
		buf_printf(why, "the daemon's answer cannot be read: %s", strerror(-error));
	return error;
}

/* 1 = some came, 0 = the end. */
static int read_more(struct answer *a)
{
	char bytes[READ_BYTES];
	ssize_t n = connection_read(a->fd, bytes, sizeof(bytes), CLIENT_SILENCE_MS);

	if (n == -ECONNRESET)
		return 0;
	if (n <= 0)
		return (int)n;
	buf_append(&a->bytes, bytes, (size_t)n);
	return a->bytes.failed ? -ENOMEM : 1;
}

static void take_off(struct buf *b, size_t length)
{
	memmove(b->data, b->data + length, b->length - length + 1);
	b->length -= length;
}

static int read_head(struct answer *a)
{
	int r = -EAGAIN, n;

	while (r == -EAGAIN) {
		n = read_more(a);
		if (n <= 0)
			return n ? n : -EPIPE;
		r = http_head(buf_string(&a->bytes), a->bytes.length, &a->head);
	}
	if (!r)
		take_off(&a->bytes, a->head.bytes);
	return r;
}

static int ask(const struct client_place *place, const struct client_request *request, struct answer *a,
	       struct buf *why)
{
	AUTO_FREE char *body = request->body ? json_dumps(request->body, JSON_COMPACT) : NULL;
	AUTO_BUF struct buf bytes = BUF_EMPTY;
	int r;

	*a = (struct answer){.fd = -1};
	if (request->body && !body)
		return lost(why, -ENOMEM);
	r = connection_open(place, &a->fd, why);
	if (r)
		return r;
	http_request(&bytes, request->method, request->target, body);
	r = bytes.failed ? -ENOMEM : connection_send(a->fd, bytes.data, bytes.length);
	/* who refuses a long body may have answered and closed before all of it was sent */
	if (!r || r == -EPIPE || r == -ECONNRESET)
		r = read_head(a);
	return r ? lost(why, r) : 0;
}

static void answer_destroy(struct answer *a)
{
	if (a->fd >= 0)
		close(a->fd);
	buf_destroy(&a->bytes);
}

static int read_rest(struct answer *a)
{
	int r = 1;

	while (r > 0 && (a->head.body_bytes < 0 || a->bytes.length < (uint64_t)a->head.body_bytes)) {
		r = read_more(a);
		if (a->bytes.length > ANSWER_MAX)
			return -EMSGSIZE;
	}
	if (r < 0)
		return r;
	return a->head.body_bytes >= 0 && a->bytes.length != (uint64_t)a->head.body_bytes ? -EPIPE : 0;
}

/* An answer that is not 200: {"error":"words"}. */
static int refused(struct answer *a, struct buf *why)
{
	int r = read_rest(a);
	json_t *object = r ? NULL : json_loadb(buf_string(&a->bytes), a->bytes.length, 0, NULL);
	const char *words = json_string_value(json_object_get(object, "error"));

	if (words)
		buf_text(why, words);
	else
		buf_printf(why, "the daemon refuses (%u)", a->head.status);
	json_decref(object);
	return -EREMOTEIO;
}

int client_call(const struct client_place *place, const struct client_request *request, struct buf *out,
		struct buf *why)
{
	struct answer a;
	int r = ask(place, request, &a, why);

	if (!r && a.head.status != 200) {
		r = refused(&a, why);
	} else if (!r) {
		r = read_rest(&a);
		if (r)
			(void)lost(why, r);
		else
			buf_append(out, buf_string(&a.bytes), a.bytes.length);
		if (!r && out->failed)
			r = lost(why, -ENOMEM);
	}
	answer_destroy(&a);
	return r;
}

int client_call_json(const struct client_place *place, const struct client_request *request, json_t **out,
		     struct buf *why)
{
	AUTO_BUF struct buf body = BUF_EMPTY;
	int r = client_call(place, request, &body, why);

	*out = NULL;
	if (r)
		return r;
	*out = json_loadb(buf_string(&body), body.length, 0, NULL);
	if (json_is_object(*out))
		return 0;
	json_decref(*out);
	*out = NULL;
	return lost(why, -EPROTO);
}

/* -- streams -- */

/* 1 = that was the last one, 0, or -EPROTO. */
static int take_line(const char *text, size_t length, client_line *line, void *arg, json_t **end)
{
	json_t *object, *value;
	const char *kind;
	void *member;

	if (!length)
		return 0;
	object = json_loadb(text, length, 0, NULL);
	member = json_object_iter(object);
	kind = json_object_iter_key(member);
	value = json_object_iter_value(member);
	if (!json_is_object(object) || json_object_size(object) != 1 || !json_is_object(value)) {
		json_decref(object);
		return -EPROTO;
	}
	bool last = strcmp(kind, "end") == 0;
	if (last)
		*end = json_incref(value);
	else
		line(arg, kind, value);
	json_decref(object);
	return last;
}

static int take_lines(struct answer *a, client_line *line, void *arg, json_t **end)
{
	size_t at = 0;
	int r = 0;

	while (r == 0) {
		const char *from = buf_string(&a->bytes) + at, *to = memchr(from, '\n', a->bytes.length - at);

		if (!to)
			break;
		r = take_line(from, (size_t)(to - from), line, arg, end);
		at += (size_t)(to - from) + 1;
	}
	if (at)
		take_off(&a->bytes, at);
	return !r && a->bytes.length > LINE_MAX_BYTES ? -EMSGSIZE : r;
}

static int end_of(const json_t *end, struct buf *why)
{
	const json_t *error = json_object_get(end, "error");
	const char *message = json_string_value(json_object_get(end, "message"));
	json_int_t number = json_integer_value(error);

	if (!json_is_integer(error) || number < 0 || number > 4095)
		return lost(why, -EPROTO);
	if (number)
		buf_text(why, message && *message ? message : strerror((int)number));
	return -(int)number;
}

int client_stream(const struct client_place *place, const struct client_request *request, client_line *line, void *arg,
		  json_t **end, struct buf *why)
{
	struct answer a;
	int r = ask(place, request, &a, why), n = 1;

	*end = NULL;
	if (!r && a.head.status != 200) {
		r = refused(&a, why);
		answer_destroy(&a);
		return r;
	}
	while (r == 0) {
		r = take_lines(&a, line, arg, end);
		if (r)
			break;
		n = read_more(&a);
		if (n <= 0)
			r = n ? n : -EPIPE;
	}
	answer_destroy(&a);
	if (r == 1)
		return end_of(*end, why);
	return lost(why, r);
}

/* -- keys -- */

void client_target(struct buf *out, const char *path, const char *key)
{
	char encoded[3 * KEY_BYTES_MAX + 1];
	size_t length = strlen(key);

	key_percent(encoded, key, length < KEY_BYTES_MAX ? length : KEY_BYTES_MAX, 1);
	buf_printf(out, "%s?key=%s", path, encoded);
}

json_t *client_key(const char *key)
{
	char encoded[3 * KEY_BYTES_MAX + 1];
	size_t length = strlen(key);

	key_percent(encoded, key, length < KEY_BYTES_MAX ? length : KEY_BYTES_MAX, 1);
	return json_string(encoded);
}
