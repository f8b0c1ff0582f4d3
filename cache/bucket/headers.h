/* What an object is sent with: a pure function of its key, the configuration and the rules file.
 *
 * Rules file, one rule a line, the last match wins per field; '#' starts a comment:
 *     PATTERN  field=value [field=value …]        values with spaces in double quotes
 * PATTERN is matched with fnmatch(3) against the key ('*' also matches '/'; a pattern that ends in '/'
 * matches everything below). Fields: content_type, cache_control, acl, storage_class, sse.
 * backups/ is always sent with acl=private unless acl=none. */
#ifndef TOOTFS_HEADERS_H
#define TOOTFS_HEADERS_H

#include <stddef.h>
#include "bucket.h"

struct headers;

struct object_headers { /* NULL = do not send; strings live as long as struct headers */
	const char *content_type, *cache_control, *acl, *storage_class, *sse, *sse_kms_key;
};

/* Reads the mime.types and rules files; on -EINVAL/-EACCES/-ENOENT the fault names file and line. */
int headers_open(const struct bucket_config *config, struct headers **out) MUST_CHECK;
/* Another reference to the same, which is read-only; each is closed. Thread-safe, both. */
struct headers *headers_share(struct headers *h);
void headers_close(struct headers **h);
/* Thread-safe, no I/O. */
void headers_for(const struct headers *h, const char *key, struct object_headers *out);

#endif
