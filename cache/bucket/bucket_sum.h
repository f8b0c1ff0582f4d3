/* What became of comparing an object's bytes with the sum that the bucket told (object.sum): it learns from that
 * whether its sums are to be believed (etags.c). Thread-safe. */
#ifndef TOOTFS_BUCKET_SUM_H
#define TOOTFS_BUCKET_SUM_H

#include "bucket.h"

void bucket_sum_fits(struct bucket *b, const struct sum *said);
/* twice: the same wrong bytes came two times. false: its sums prove nothing, the bytes may be used. */
bool bucket_sum_differs(struct bucket *b, const struct sum *said, bool twice) MUST_CHECK;

#endif
