/* What a name in a directory and the key of an object may be. Pure.
 *
 * A key is a path below the mount point without a leading slash: names joined by '/'. */
#ifndef TOOTFS_KEY_H
#define TOOTFS_KEY_H

#include <stddef.h>

enum { NAME_BYTES_MAX = 255, KEY_BYTES_MAX = 1024 };

enum key_verdict {
	KEY_GOOD,
	KEY_EMPTY,         /* no bytes at all */
	KEY_MARKER,        /* ends in '/': a directory marker object */
	KEY_EMPTY_NAME,    /* starts with '/' or contains '//' */
	KEY_DOT_NAME,      /* has a component '.' or '..' */
	KEY_NAME_TOO_LONG, /* has a component over NAME_BYTES_MAX */
	KEY_TOO_LONG,      /* over KEY_BYTES_MAX */
	KEY_HAS_NUL,
	KEY_NO_SLASH,      /* only of key_check_prefix: no '/' at the end */
};

/* 0; -EINVAL for "", ".", "..", a '/' or NUL in it; -ENAMETOOLONG. */
int name_check(const char *name, size_t length);
enum key_verdict key_check(const char *key, size_t length);
/* The same for a CommonPrefixes entry, which must end in '/': KEY_MARKER is then not an error. */
enum key_verdict key_check_prefix(const char *prefix, size_t length);
const char *key_verdict_text(enum key_verdict verdict);

/* RFC 3986 percent-encoding as SigV4 wants it: all but A-Za-z0-9-._~ ; '/' too unless keep_slash.
 * out needs 3 * length + 1 bytes; returns the bytes written without the NUL. */
size_t key_percent(char *out, const char *in, size_t length, int keep_slash);
/* Decodes %XX (not '+') in place of a NUL-terminated text; returns the new length or -EINVAL. */
long key_unpercent(char *text);

#endif
