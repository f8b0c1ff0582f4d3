/* HTTP/1.0 on purpose: the server then sends a stream as it is, without chunks, and closes; that an answer is whole is
 * seen by its Content-Length or, in a stream, by its last line. */
#include "http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

void http_request(struct buf *out, const char *method, const char *target, const char *body)
{
	buf_printf(out, "%s %s HTTP/1.0\r\nHost: tootfs\r\n", method, target);
	if (body)
		buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
	buf_text(out, "\r\n");
	buf_text(out, body ? body : "");
}

static int take_status(const char *line, size_t length, struct http_head *out)
{
	static const char version[] = "HTTP/1.";

	if (length < 12 || memcmp(line, version, sizeof(version) - 1) != 0 || line[8] != ' ')
		return -EPROTO;
	out->status = 0;
	for (int i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -EPROTO;
		out->status = out->status * 10 + (unsigned)(line[i] - '0');
	}
	return out->status >= 100 && (length == 12 || line[12] == ' ') ? 0 : -EPROTO;
}

static int take_length(const char *text, size_t length, struct http_head *out)
{
	int64_t bytes = 0;
	size_t digits = 0;

	while (length && (*text == ' ' || *text == '\t')) {
		text++;
		length--;
	}
	for (; digits < length && text[digits] >= '0' && text[digits] <= '9' && digits < 15; digits++)
		bytes = bytes * 10 + (text[digits] - '0');
	if (!digits || digits != length || (out->body_bytes >= 0 && out->body_bytes != bytes))
		return -EPROTO;
	out->body_bytes = bytes;
	return 0;
}

static int take_line(const char *line, size_t length, struct http_head *out)
{
	static const char name[] = "content-length:", coded[] = "transfer-encoding:";

	if (length >= sizeof(coded) - 1 && strncasecmp(line, coded, sizeof(coded) - 1) == 0)
		return -EPROTO; /* none was asked for */
	if (length < sizeof(name) - 1 || strncasecmp(line, name, sizeof(name) - 1) != 0)
		return 0;
	return take_length(line + sizeof(name) - 1, length - (sizeof(name) - 1), out);
}

int http_head(const char *bytes, size_t length, struct http_head *out)
{
	size_t at = 0;
	int r = 0;

	*out = (struct http_head){.body_bytes = -1};
	for (unsigned lines = 0; r == 0; lines++) {
		const char *end = at < length ? memchr(bytes + at, '\n', length - at) : NULL;
		size_t line_bytes;

		if (!end)
			return length >= HTTP_HEAD_MAX ? -EPROTO : -EAGAIN;
		line_bytes = (size_t)(end - (bytes + at));
		if (line_bytes && end[-1] == '\r')
			line_bytes--;
		if (lines == 0)
			r = take_status(bytes + at, line_bytes, out);
		else if (line_bytes)
			r = take_line(bytes + at, line_bytes, out);
		at = (size_t)(end - bytes) + 1;
		if (lines && !line_bytes)
			break;
	}
	out->bytes = at;
	return r ? r : at > HTTP_HEAD_MAX ? -EPROTO : 0;
}
