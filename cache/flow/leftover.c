/* Multipart uploads that nobody knows any more: those whose making was never answered, and those of an earlier process.
 *
 * What has an id is aborted by it, which is no error if it was completed. For what has none, the uploads of that very key
 * are listed. Aborted are those that are not ours of now and that were begun since we asked for one, by the server's clock:
 * SKEW_NS is what that may differ from ours, since a server refuses a request whose clock differs by more. So an upload of
 * somebody else on another key is never touched, and one on this key only if it is as young as ours.
 *
 * A request that nobody answered may still take effect later. So who once was in doubt looks again at the end of its
 * upload; where that is not possible, a record without an id stays for the next start. */
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "checkpoint.h"
#include "stream_internal.h"

enum { TRIES_MAX = 3 };
#define SKEW_NS (900 * INT64_C(1000000000))

struct leftover {
	struct list link; /* sends.locked.leftovers, when nobody works on it */
	unsigned tries;
	struct upload_record record;
};

/* -- uploads of a key whose ids are not known -- */

struct found_ids {
	struct sends *s;
	const char *key;
	int64_t since_ns;
	char (*ids)[UPLOAD_ID_BYTES];
	size_t count;
};

static bool is_ours(struct sends *s, const char *key, const char *id)
{
	bool ours = false;
	lock_take(&s->lock);
	for (struct list *l = s->locked.streams.next; l != &s->locked.streams && !ours; l = l->next) {
		const struct stream *st = container_of(l, struct stream, link);
		ours = !strcmp(st->key, key) && (st->state == STREAM_MADE || st->state == STREAM_ABORTING) &&
		       !strcmp(st->id, id);
	}
	lock_drop(&s->lock);
	return ours;
}

static int note_id(void *arg, const char *id, int64_t initiated_ns)
{
	struct found_ids *found = arg;
	bool older = initiated_ns && initiated_ns < found->since_ns - SKEW_NS;
	if (older || is_ours(found->s, found->key, id) || strlen(id) >= UPLOAD_ID_BYTES)
		return 0;
	char(*ids)[UPLOAD_ID_BYTES] = realloc(found->ids, (found->count + 1) * sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	found->ids = ids;
	strcpy(ids[found->count++], id);
	return 0;
}

int leftover_unknown(struct sends *s, const char *key, int64_t since_ns)
{
	struct found_ids found = {.s = s, .key = key, .since_ns = since_ns};
	int r = bucket_upload_list(s->flow->bucket, key, note_id, &found);
	for (size_t i = 0; r == 0 && i < found.count; i++) {
		log_info("send: an upload is aborted whose making was never answered key=%s", key);
		r = bucket_upload_abort(s->flow->bucket, key, found.ids[i]);
	}
	free(found.ids);
	return r;
}

/* -- what an earlier process left -- */

static int note_leftover(void *arg, const struct upload_record *record)
{
	struct sends *s = arg;
	struct leftover *left = calloc(1, sizeof(*left));
	if (!left)
		return -ENOMEM;
	left->record = *record;
	lock_take(&s->lock);
	list_append(&s->locked.leftovers, &left->link);
	lock_drop(&s->lock);
	return 0;
}

int leftover_read(struct sends *s)
{
	AUTO_ABORT struct txn *txn = NULL;
	int r = txn_begin_read(s->flow->index, &txn);
	return r ? r : uploads_each(txn, note_leftover, s);
}

bool leftover_none_locked(const struct sends *s)
{
	return list_empty(&s->locked.leftovers) && !s->locked.leftovers_running;
}

bool leftover_task_locked(struct sends *s, struct stream_task *out)
{
	struct list *l = list_shift(&s->locked.leftovers);
	if (!l)
		return false;
	out->kind = TASK_LEFTOVER;
	out->leftover = container_of(l, struct leftover, link);
	s->locked.leftovers_running++;
	return true;
}

void leftover_run(struct sends *s, struct leftover *left)
{
	const struct upload_record *record = &left->record;
	int r = record->id[0] ? bucket_upload_abort(s->flow->bucket, record->key, record->id)
			      : leftover_unknown(s, record->key, record->since_ns);
	bool later = stream_is_for_later(r) && ++left->tries < TRIES_MAX;
	if (stream_is_for_later(r))
		send_answer(s, r, record->key);
	if (!later && r) /* a refusal of this must not stop everything else: the record stays for the next start */
		log_warn("send: an earlier upload cannot be aborted key=%s error=%s why=%s", record->key,
			 strerror(-r), bucket_why());
	else if (!r)
		r = multipart_record_delete(s, record->blob);
	lock_take(&s->lock);
	s->locked.leftovers_running--;
	if (later)
		list_append(&s->locked.leftovers, &left->link);
	send_again_locked(s);
	lock_drop(&s->lock);
	if (!later)
		free(left);
}

void leftover_close(struct sends *s)
{
	struct list *l;
	while ((l = list_shift(&s->locked.leftovers)))
		free(container_of(l, struct leftover, link));
}
