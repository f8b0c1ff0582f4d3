/* The table of operations as libfuse calls them: each is timed from here to its reply. */
#ifndef TOOTFS_DISPATCH_H
#define TOOTFS_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/histogram.h"
#include "lowlevel.h"

extern const struct fuse_lowlevel_ops dispatch_ops;

/* What the calling thread is about to answer. A request that another thread will answer is taken along by hand. */
struct dispatch_mark {
	int operation; /* -1 = nothing */
	int64_t began_us;
};
struct dispatch_mark dispatch_mark(void);
void dispatch_resume(const struct dispatch_mark *mark);
/* It is being answered; error: 0 or -errno. Only reply.c calls it. */
void dispatch_answered(int error);

/* The figures, one operation or error after the other; false at the end. */
bool dispatch_operation(unsigned i, const char **name, struct histogram_sums *out);
bool dispatch_error(unsigned i, const char **name, uint64_t *count);

#endif
