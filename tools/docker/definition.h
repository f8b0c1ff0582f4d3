/* What a volume is: a bucket and options, as Create was given them. Checked by tootfs's own table, fixed afterwards. Pure. */
#ifndef TOOTFS_DOCKER_DEFINITION_H
#define TOOTFS_DOCKER_DEFINITION_H

#include <jansson.h>
#include <stddef.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"

/* Strings are owned. */
struct definition {
	json_t *given;	  /* the options as they came: an object of texts; no secret is ever one */
	char *created;	  /* RFC 3339 */
	char *spec;	  /* the bucket as tootfs wants it */
	char *options;	  /* what follows -o */
	char *cache;	  /* the cache folder */
	char *damaged;	  /* why what was stored cannot be used; then nothing above but created is there. NULL = all is well */
};

/* options NULL = none were given. -EINVAL and why: for the user. cache_folder: where volumes without the option cache have
 * theirs, each below its name; NULL = where tootfs has it. */
int definition_make(struct definition *d, const char *name, const json_t *options, const char *cache_folder,
		    struct buf *why) MUST_CHECK;
/* As stored. A text that is not a definition gives one that is damaged. -ENOMEM. */
int definition_read(struct definition *d, const char *name, const char *text, size_t length,
		    const char *cache_folder) MUST_CHECK;
char *definition_text(const struct definition *d); /* NULL: no memory */
void definition_destroy(struct definition *d);

#endif
