/* Multipart uploads that somebody began and nobody ended. Errors are those of bucket.h. */
#ifndef TOOTFS_BUCKET_UPLOADS_H
#define TOOTFS_BUCKET_UPLOADS_H

#include "bucket.h"

/* The uploads under way for all keys of this bucket, whoever began them, in no order to rely on; key is raw bytes, NOT checked.
 * A page at a time, which is visited before the next one is asked for; visit may call the bucket. It returns 0 to go on. */
typedef int key_upload_visit(void *arg, const char *key, const char *id, int64_t initiated_ns);
int bucket_uploads_each(struct bucket *b, key_upload_visit *visit, void *arg) MUST_CHECK;

#endif
