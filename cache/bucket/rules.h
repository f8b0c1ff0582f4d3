/* The text formats behind an object's headers: rules files and mime.types. Pure: they work in place on the
 * caller's NUL-terminated text and copy nothing; path is only for the fault. */
#ifndef TOOTFS_RULES_H
#define TOOTFS_RULES_H

#include "cache/base/err.h"

enum rule_field {
	RULE_CONTENT_TYPE,
	RULE_CACHE_CONTROL,
	RULE_ACL,
	RULE_STORAGE_CLASS,
	RULE_SSE,
	RULE_FIELDS
};

/* values[f] NULL = the rule does not say; "none" = send no such header. 0 or -errno, which ends the walk. */
typedef int rules_visit(void *arg, const char *pattern, const char *const values[RULE_FIELDS]);
/* -EINVAL: the fault names path, line and mistake. */
int rules_parse(char *text, const char *path, rules_visit *visit, void *arg) MUST_CHECK;
/* Whether field may be sent with that value; on -EINVAL the fault says what may be written there. */
int rules_check(enum rule_field field, const char *value) MUST_CHECK;

/* One extension (without a dot, as written) and its type. Lines that say nothing are passed over. */
typedef int mime_types_visit(void *arg, const char *extension, const char *type);
int mime_types_parse(char *text, mime_types_visit *visit, void *arg) MUST_CHECK;

#endif
