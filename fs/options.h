/* The command line, ours and the one that mount(8) makes for mount.tootfs. What the cache can be
 * told is in the table of cache/config.h; here is only what the mount itself can be told. */
#ifndef TOOTFS_OPTIONS_H
#define TOOTFS_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"
#include "cache/config.h"

enum options_wish { OPTIONS_MOUNT, OPTIONS_HELP, OPTIONS_VERSION };

struct options {
	enum options_wish wish; /* only for OPTIONS_MOUNT is the rest complete */
	struct cache_config config;
	char *spec;		  /* the bucket as it was written */
	char *mountpoint;	  /* absolute; without symlinks where it exists */
	struct buf mount_options; /* for mount(2): flags and labels, escaped for libfuse */
	bool foreground, allow_other;
	bool fake; /* mount -f: check everything, mount nothing */
};

/* 0, -ENOMEM, or -EINVAL and one line of plain words. argv may be reordered. To be destroyed in any
 * case. */
int options_parse(struct options *o, int argc, char **argv, struct buf *why) MUST_CHECK;
void options_destroy(struct options *o);
void options_help(FILE *out);

#endif
