/* Bytes to lower-case hexadecimal and back. Pure. */
#ifndef TOOTFS_HEX_H
#define TOOTFS_HEX_H

#include <stddef.h>

void hex_encode(char *out /* 2 * length + 1 */, const void *bytes, size_t length);
/* 0, or -EINVAL when text is not exactly 2 * length hexadecimal digits. */
int hex_decode(void *out, const char *text, size_t length);

#endif
