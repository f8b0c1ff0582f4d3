/* What became of comparing an object's bytes with the sum that the bucket told (object.sum): it learns from that
 * whether its sums are to be believed (etags.c). Thread-safe. */
#ifndef TOOTFS_BUCKET_SUM_H
#define TOOTFS_BUCKET_SUM_H

#include "bucket.h"

/* For an object that was uploaded in parts: the sum with which its bytes can be compared (sum_file_as), from its ETag and
 * one or two HEADs for the sizes of its parts. SUM_NONE: the ETag is no such one, the server does not tell, parts are not
 * equal, or sums are not to be believed. On an error out is SUM_NONE too. */
int bucket_sum_parts(struct bucket *b, const char *key, const struct object *object, struct sum *out) MUST_CHECK;
void bucket_sum_fits(struct bucket *b, const struct sum *said);
/* twice: the same wrong bytes came two times. false: its sums prove nothing, the bytes may be used. */
bool bucket_sum_differs(struct bucket *b, const struct sum *said, bool twice) MUST_CHECK;

#endif
