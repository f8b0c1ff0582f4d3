/* Space doubles, so that n appends cost O(n). A failed buffer takes nothing more: what follows a dropped
 * piece would make a text that looks whole but is not. */
#include "buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

void buf_destroy(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_EMPTY;
}

void buf_clear(struct buf *b)
{
	b->length = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

/* Room for length more bytes and the NUL. */
static bool reserve(struct buf *b, size_t length)
{
	if (b->failed)
		return false;
	if (length < b->space - b->length)
		return true;
	if (length > SIZE_MAX / 2 - b->length - 1) {
		b->failed = true;
		return false;
	}

	size_t need = b->length + length + 1, space = b->space ? b->space : 32;
	while (space < need)
		space *= 2;
	char *data = realloc(b->data, space);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->space = space;
	return true;
}

void buf_append(struct buf *b, const void *bytes, size_t length)
{
	if (!reserve(b, length))
		return;
	if (length)
		memcpy(b->data + b->length, bytes, length);
	b->length += length;
	b->data[b->length] = '\0';
}

void buf_text(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list args, again;

	va_start(args, fmt);
	va_copy(again, args);
	int length = vsnprintf(NULL, 0, fmt, args);
	if (length < 0)
		b->failed = true;
	else if (reserve(b, (size_t)length)) {
		vsnprintf(b->data + b->length, (size_t)length + 1, fmt, again);
		b->length += (size_t)length;
	}
	va_end(again);
	va_end(args);
}

const char *buf_string(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_steal(struct buf *b)
{
	buf_append(b, "", 0); /* an empty text is a text too */
	if (b->failed) {
		buf_destroy(b);
		return NULL;
	}
	char *text = b->data;
	*b = (struct buf)BUF_EMPTY;
	return text;
}
