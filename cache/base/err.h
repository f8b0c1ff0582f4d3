/* The error convention and the release attributes.
 *
 * A function that can fail returns 0 or -errno (int) and is marked MUST_CHECK; errno itself is
 * never set for a caller. Whoever makes an error final logs it, once. */
#ifndef TOOTFS_ERR_H
#define TOOTFS_ERR_H

#include <stdlib.h>
#include <unistd.h>

#define MUST_CHECK      __attribute__((warn_unused_result))
#define PRINTF(fmt, va) __attribute__((format(printf, fmt, va)))

static inline void auto_free(void *p)
{
	free(*(void **)p);
}

static inline void auto_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Released when the variable leaves its scope: a malloc'ed pointer; an fd (-1 = none). */
#define AUTO_FREE  __attribute__((cleanup(auto_free)))
#define AUTO_CLOSE __attribute__((cleanup(auto_close)))

#endif
