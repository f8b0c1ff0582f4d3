/* One exchange as curl sees it: options, callbacks, and what came out of it.
 *
 * No "Expect: 100-continue": it costs a round trip for each body, and a second where a server does
 * not know it, in order to save at most one body when the server refuses. An early refusal is read
 * all the same.
 *
 * Every body goes through the read callback, also those in memory: then Content-Length, rewinding
 * (curl repeats a request on a new connection when a kept-alive one turns out to be dead) and
 * POST, PUT are one case.
 *
 * The head of an answer is complete at its empty line; the heads of 1xx answers are dropped. Only
 * then is the status known, so only then may begin() and take() run. */
#include "http_transfer.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "cache/base/clock.h"

enum {
	REPLY_BYTES_MAX = 256 << 10,
	RECEIVE_BYTES = 128 << 10,
	SEND_BYTES = 128 << 10,
	CONNECTION_AGE_S = 60, /* idle longer than this: rather a new one than a dead one */
	KEEPALIVE_S = 30,
	NAME_AGE_S = 5, /* S3 changes its addresses that often, and one that is dead is not kept for long */
};

int transfer_fail(struct transfer *t, int error, const char *text)
{
	snprintf(t->x->transport_error, sizeof(t->x->transport_error), "%s", text);
	return t->error = error;
}

/* -- what curl calls, on the network thread -- */

static size_t on_send(char *out, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	struct exchange *x = t->x;
	uint64_t left = x->length - t->sent;
	size_t want = size * count < left ? size * count : (size_t)left;
	ssize_t got = (ssize_t)want;

	t->moved_ms = clock_ms();
	if (want == 0)
		return 0;
	if (x->fd < 0) {
		memcpy(out, (const char *)x->body + t->sent, want);
	} else {
		do
			got = pread(x->fd, out, want, (off_t)(x->offset + t->sent));
		while (got < 0 && errno == EINTR);
	}
	if (got <= 0) {
		transfer_fail(t, got < 0 ? -errno : -EIO,
			      "the file to send could not be read to its end");
		return CURL_READFUNC_ABORT;
	}
	t->sent += (uint64_t)got;
	return (size_t)got;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct transfer *t = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->x->length)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int keep_header(struct exchange *x, const char *line, size_t length)
{
	const char *colon = memchr(line, ':', length), *end = line + length, *value;
	struct http_header *h = &x->reply[x->reply_count];

	if (!colon || colon == line || x->reply_count == HTTP_REPLY_MAX)
		return 0;
	for (value = colon + 1; value < end && is_space(*value); value++)
		;
	while (end > value && is_space(end[-1]))
		end--;
	if (memchr(line, '\0', length))
		return 0;
	h->name = strndup(line, (size_t)(colon - line));
	if (!h->name)
		return -ENOMEM;
	for (char *p = h->name; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p | 0x20);
	if (x->keep && !x->keep(h->name)) {
		free(h->name);
		return 0;
	}
	h->value = strndup(value, (size_t)(end - value));
	if (!h->value) {
		free(h->name);
		return -ENOMEM;
	}
	x->reply_count++;
	return 0;
}

static void reply_clear(struct exchange *x)
{
	for (size_t i = 0; i < x->reply_count; i++) {
		free(x->reply[i].name);
		free(x->reply[i].value);
	}
	x->reply_count = 0;
}

static bool is_2xx(const struct exchange *x)
{
	return x->status >= 200 && x->status < 300;
}

/* The empty line after the headers. Those of a 1xx answer are dropped: another head follows. */
static int head_end(struct transfer *t)
{
	struct exchange *x = t->x;
	long status = 0;
	int r;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200) {
		reply_clear(x);
		return 0;
	}
	t->head_done = true;
	x->status = (int)status;
	if (!is_2xx(x) || !x->begin)
		return 0;
	r = x->begin(x->arg, x);
	return r ? transfer_fail(t, r, "ended by the receiver") : 0;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t length = size * count;
	int r;

	t->moved_ms = clock_ms();
	t->reply_bytes += length;
	if (t->reply_bytes > REPLY_BYTES_MAX) {
		transfer_fail(t, -EPROTO, "the headers of the answer are too large");
		return 0;
	}
	if (t->head_done) /* trailers of a chunked body: nothing in S3 */
		return length;
	if (length <= 2 && is_space(line[0])) {
		return head_end(t) ? 0 : length;
	}
	if (length >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
		reply_clear(t->x);
		return length;
	}
	r = keep_header(t->x, line, length);
	if (r)
		transfer_fail(t, r, "out of memory");
	return r ? 0 : length;
}

static int take_error_body(struct transfer *t, const char *bytes, size_t length)
{
	struct buf *b = &t->x->error_body;
	size_t space = HTTP_ERROR_BODY_MAX - b->length;

	buf_append(b, bytes, length < space ? length : space);
	t->enough = length > space;
	return t->enough ? -ECONNABORTED : 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	struct exchange *x = t->x;
	size_t length = size * count;
	int r = 0;

	t->moved_ms = clock_ms();
	if (!t->head_done)
		r = transfer_fail(t, -EPROTO, "a body came before the headers");
	else if (!is_2xx(x))
		r = take_error_body(t, bytes, length);
	else if (x->take)
		r = x->take(x->arg, bytes, length);
	else if (length > x->body_max - x->body_out.length)
		r = transfer_fail(t, -EPROTO, "the answer is longer than any answer should be");
	else
		buf_append(&x->body_out, bytes, length);
	if (r && !t->enough && !t->error)
		transfer_fail(t, r, "ended by the receiver");
	return r ? 0 : length;
}

/* -- a request as curl wants it, on the caller's thread -- */

static int set_headers(struct transfer *t)
{
	static const char *const always[] = {"Expect:", NULL};
	const struct exchange *x = t->x;

	for (size_t i = 0; i < x->headers_count + 1; i++) {
		const char *line = i < x->headers_count ? x->headers[i] : always[0];
		struct curl_slist *longer = curl_slist_append(t->headers, line);
		if (!longer)
			return -ENOMEM;
		t->headers = longer;
	}
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	return 0;
}

static void set_method(struct transfer *t)
{
	const struct exchange *x = t->x;

	if (strcmp(x->method, "HEAD") == 0) {
		curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
	} else if (strcmp(x->method, "PUT") == 0 || strcmp(x->method, "POST") == 0) {
		curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->length);
		curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, x->method);
	} else {
		curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
		curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, x->method);
	}
}

static void set_connection(const struct transfer_config *config, struct transfer *t)
{
	CURL *e = t->easy;

	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)t->x->connect_timeout_ms);
	curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, (long)NAME_AGE_S);
	curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
	curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)CONNECTION_AGE_S);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_BYTES);
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(e, CURLOPT_USERAGENT, config->user_agent);
	if (config->ca_file)
		curl_easy_setopt(e, CURLOPT_CAINFO, config->ca_file);
}

int transfer_init(const struct transfer_config *config, struct exchange *x, struct transfer *t)
{
	memset(t, 0, sizeof(*t));
	t->x = x;
	t->easy = curl_easy_init();
	if (!t->easy)
		return -ENOMEM;
	set_connection(config, t);
	set_method(t);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, x->transport_error);
	curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, x->once ? 1L : 0L);
	curl_easy_setopt(t->easy, CURLOPT_PATH_AS_IS, 1L); /* "..", since a key is not a path */
	curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_send);
	curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	if (curl_easy_setopt(t->easy, CURLOPT_URL, x->url) != CURLE_OK)
		return -ENOMEM;
	return set_headers(t);
}

void transfer_destroy(struct transfer *t)
{
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
}

int transfer_result(struct transfer *t, CURLcode code)
{
	struct exchange *x = t->x;

	if (t->enough)
		return x->error_body.failed ? -ENOMEM : 0;
	if (t->error)
		return t->error;
	if (code == CURLE_OK && x->status == 0)
		return transfer_fail(t, -EPROTO, "the answer was cut off in its headers");
	if (code == CURLE_OK)
		return x->error_body.failed || x->body_out.failed ? -ENOMEM : 0;
	if (!x->transport_error[0])
		transfer_fail(t, 0, curl_easy_strerror(code));
	if (code == CURLE_OUT_OF_MEMORY)
		return -ENOMEM;
	x->transport_final = code == CURLE_PEER_FAILED_VERIFICATION ||
			     code == CURLE_URL_MALFORMAT || code == CURLE_SSL_CACERT_BADFILE;
	/* A reset or an early end before any answer is the same as nobody at home; something that
	 * is not HTTP (which curl takes for HTTP/0.9 and calls unsupported) is not. */
	if (x->status == 0 && code != CURLE_WEIRD_SERVER_REPLY &&
	    code != CURLE_UNSUPPORTED_PROTOCOL)
		return -EHOSTDOWN;
	return -EPROTO;
}

const char *exchange_header(const struct exchange *x, const char *name)
{
	for (size_t i = 0; i < x->reply_count; i++)
		if (strcmp(x->reply[i].name, name) == 0)
			return x->reply[i].value;
	return NULL;
}

void exchange_destroy(struct exchange *x)
{
	reply_clear(x);
	buf_destroy(&x->body_out);
	buf_destroy(&x->error_body);
	x->status = 0;
}
