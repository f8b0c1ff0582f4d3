/* Multipart uploads, between send*.c and stream.c (their parts), multipart.c (how they begin and end) and leftover.c
 * (those that nobody knows any more). */
#ifndef TOOTFS_STREAM_INTERNAL_H
#define TOOTFS_STREAM_INTERNAL_H

#include "send_internal.h"

/* -- stream.c -- */
enum { STREAM_PARTS_MAX = 10000, STREAMS_MAX = 64 };

struct stream_part {
	enum { PART_TODO, PART_RUNNING, PART_DONE } state;
	uint64_t bytes;
	char etag[ETAG_BYTES];
};

struct stream {
	struct list link; /* sends.locked.streams */
	/* fixed */
	struct node *node; /* a reference */
	struct open_blob *open;
	uint64_t blob, part_size;
	bool growing; /* how long the file gets is not known when part_size is chosen */
	bool with_attrs;
	struct object_attrs attrs;
	char key[KEY_BYTES_MAX + 1];
	/* by whoever makes, completes or aborts the upload */
	char id[UPLOAD_ID_BYTES]; /* fixed once it is made */
	int64_t since_ns; /* when it was asked for */
	bool unsure;      /* the answer to a create was lost: there may be an upload whose id is not known */
	bool late;        /* it was so at a time: a look is due when the upload ends */
	/* sends.lock */
	enum { STREAM_NEW, STREAM_MAKING, STREAM_MADE, STREAM_ABORTING } state;
	bool owned;    /* a worker is finishing it as the PUT of a version */
	bool broken;   /* to be aborted when nobody works on it */
	bool sealed;   /* end is the end of the object */
	uint64_t end;  /* [0, end) does not change any more */
	unsigned running, fails, tries; /* tries: to abort it */
	int error;     /* why it is broken */
	unsigned first, parts_space; /* all parts before first are done or running */
	struct stream_part *parts;
};

struct stream_task {
	struct stream *stream;
	struct leftover *leftover;
	enum { TASK_MAKE, TASK_PART, TASK_ABORT, TASK_LEFTOVER } kind;
	unsigned part;
	uint64_t start, bytes;
};
uint64_t stream_part_start(const struct stream *st, unsigned part, uint64_t *bytes);
struct stream *stream_find_locked(struct sends *s, uint64_t blob) REQUIRES(&s->lock);
/* Of one stream, or of any. */
bool stream_task_locked(struct sends *s, struct stream *only, struct stream_task *out)
	REQUIRES(&s->lock);
void stream_run(struct sends *s, const struct stream_task *task);
void stream_free(struct stream **stream);
/* Gives up streams whose file is gone or has another content. */
void stream_review(struct sends *s);

/* -- multipart.c -- */
/* The job's blob as a multipart upload. -EAGAIN: look at the job again; -EBUSY: later. */
int multipart_put(struct sends *s, struct put_job *job, struct open_blob *open,
		  struct object *out) MUST_CHECK;
void multipart_done(struct sends *s, struct put_job *job); /* after the settling */
int multipart_make(struct sends *s, struct stream *st) MUST_CHECK;
int multipart_abort(struct sends *s, struct stream *st) MUST_CHECK;
int multipart_settle(struct txn *txn, const struct stream *done) MUST_CHECK; /* the record of a completed upload */
int multipart_record_delete(struct sends *s, uint64_t blob) MUST_CHECK;
void multipart_close(struct sends *s);
/* The bucket is out of reach: later. Any other refusal of an abort must not stop what matters more. */
static inline bool stream_is_for_later(int error)
{
	return error == -EHOSTDOWN || error == -ECANCELED;
}

/* -- leftover.c -- */
int leftover_read(struct sends *s) MUST_CHECK; /* the table of uploads, at the start */
bool leftover_none_locked(const struct sends *s) REQUIRES(&s->lock);
bool leftover_task_locked(struct sends *s, struct stream_task *out) REQUIRES(&s->lock);
void leftover_run(struct sends *s, struct leftover *left);
/* Aborts the key's uploads that are not known and may be ours: asked for since then, wall clock. */
int leftover_unknown(struct sends *s, const char *key, int64_t since_ns) MUST_CHECK;
void leftover_close(struct sends *s);

#endif
