/* Bytes that grow. data[length] is always a NUL that does not count. One owner, one thread.
 *
 * An append that finds no memory sets failed and drops what it was given; check it once, at the end. */
#ifndef TOOTFS_BUF_H
#define TOOTFS_BUF_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include "err.h"

struct buf {
	char *data; /* NULL until the first append */
	size_t length, space;
	bool failed;
};

#define BUF_EMPTY                                                                                  \
	{                                                                                          \
		0                                                                                  \
	}
#define AUTO_BUF __attribute__((cleanup(buf_destroy)))

void buf_destroy(struct buf *b);
void buf_clear(struct buf *b);
void buf_append(struct buf *b, const void *bytes, size_t length);
void buf_text(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* The text, "" when empty; valid until the next change. */
const char *buf_string(const struct buf *b);
/* Hands the malloc'ed text over and leaves b empty; NULL when an append failed. */
char *buf_steal(struct buf *b);

#endif
