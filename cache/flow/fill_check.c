/* Are the bytes the object's? The bucket says what they must come to (object.sum: an MD5 as ETag, a stored SHA-256); the
 * blob, not the stream, is what is summed up, in the worker's thread: that proves what will be read.
 *
 *   the whole object in one GET (up to FILL_WHOLE_MAX)      held: nobody gets a byte before all of them were found right
 *     wrong                                                 thrown away, fetched again at once
 *     wrong again                                           EIO to who waits; the next reader makes us try anew
 *   a large object, in ranges                               a range proves nothing: readers get it as it comes, protected by
 *                                                           its length, the ETag, If-Match and TLS
 *     all of it is there                                    read back once, as readahead would be: CLEAN only if it is right.
 *                                                           Whoever builds on the content (a write, a copy) waits for this
 *     wrong                                                 thrown away; open handles get ESTALE, the kernel drops its pages,
 *                                                           and the node is a suspect: from then on it is fetched and proved
 *                                                           like a small one, whatever its size
 *
 * The sum of an object that was uploaded in parts needs the sizes of these, which are asked for when its bytes are here.
 * When that fails, what nobody has read (held) waits for an answer as for any other; what was read in ranges is unchecked.
 *
 * No sum, no check: ETags of multipart uploads where the server does not tell the parts' sizes (or where they are not equal), of
 * KMS or customer's encryption, of folders, verify=off, a server whose ETags turned out to be no MD5s (etags.h), FIPS mode. And large objects of
 * which nobody reads all.
 *
 * Suspects are a small ring in memory: who is pushed out, or forgotten at the end of the process, is a large object
 * like others again. */
#include "fill_internal.h"

#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/bucket/bucket_sum.h"

/* -- suspects -- */

bool fill_is_suspect(struct fills *f, uint64_t ino)
{
	bool found = false;

	lock_take(&f->lock);
	for (size_t i = 0; i < FILL_SUSPECTS; i++)
		found |= f->locked.suspects[i] == ino;
	lock_drop(&f->lock);
	return found;
}

static void suspect(struct fills *f, uint64_t ino)
{
	lock_take(&f->lock);
	f->locked.suspects[f->locked.suspects_next++ % FILL_SUSPECTS] = ino;
	lock_drop(&f->lock);
}

static void trust(struct fills *f, uint64_t ino)
{
	lock_take(&f->lock);
	for (size_t i = 0; i < FILL_SUSPECTS; i++)
		if (f->locked.suspects[i] == ino)
			f->locked.suspects[i] = 0;
	lock_drop(&f->lock);
}

/* -- comparing -- */

enum then { FETCH_AGAIN, GIVE_UP, THROW_AWAY };

static struct sum said_of(const struct fill_task *task)
{
	struct node *node = task->fill->node;

	lock_take(&node->lock);
	struct sum said = task->fill->sum;
	lock_drop(&node->lock);
	return said;
}

static int ask_parts(const struct fill_task *task, struct sum *said)
{
	struct object object = {.size_bytes = task->end};
	char key[KEY_BYTES_MAX + 1];

	int error = fill_record_key(task, key);
	if (error)
		return error;
	memcpy(object.etag, task->etag, sizeof(object.etag));
	error = bucket_sum_parts(task->fill->fills->flow->bucket, key, &object, said);
	return error == -ECANCELED || task->held ? error : 0;
}

/* 0 = right, or there is nothing to compare with; -EBADMSG = wrong; else it could not be read, or the fills stop. */
static int compare(const struct fill_task *task, struct sum *said, struct sum *got)
{
	struct fills *f = task->fill->fills;
	int error = 0;

	got->kind = SUM_NONE;
	if (said->kind == SUM_MD5_PARTS && !said->part_bytes)
		error = ask_parts(task, said);
	if (error || said->kind == SUM_NONE)
		return error;
	error = sum_file_as(task->open->fd, task->end, said, &f->stopping, got);
	if (error)
		return error == -ENOTSUP ? 0 : error;
	if (!sum_same(said, got))
		return -EBADMSG;
	bucket_sum_fits(f->flow->bucket, said);
	return 0;
}

/* Of each kind one line in a while: a damaged object may be read again and again. */
static void complain(const struct fill_task *task, const char *key, const struct sum *said, const struct sum *got,
		     enum then then)
{
	static const char *const words[] = {"it is fetched again", "twice: whoever reads it gets EIO",
					    "what was fetched is thrown away"};
	static _Atomic int64_t next_ms[sizeof(words) / sizeof(words[0])];
	int64_t now = clock_ms(), due = next_ms[then];
	char should[SUM_TEXT], is[SUM_TEXT];

	if (now < due || !atomic_compare_exchange_strong(&next_ms[then], &due, now + 500))
		return;
	sum_text(said, should);
	sum_text(got, is);
	log_error("fill: wrong bytes came for an object, %s ino=%llu key=%s %s=%s expected=%s; if all objects of this "
		  "server seem wrong, its ETags are no MD5s: mount with verify=off", words[then],
		  (unsigned long long)node_ino(task->fill->node), key, said->kind == SUM_SHA256 ? "sha256" : "md5", is,
		  should);
}

int fill_check_arrived(struct fill_task *task, const char *key, unsigned *tries)
{
	struct fills *f = task->fill->fills;
	struct sum said = said_of(task), got, before = task->wrong;

	int error = compare(task, &said, &got);
	if (error != -EBADMSG) {
		if (!error)
			trust(f, node_ino(task->fill->node));
		return error;
	}
	bool again = (*tries)++ > 0;
	if (!bucket_sum_differs(f->flow->bucket, &said, again && sum_same(&before, &got)))
		return 0;
	task->wrong = got;
	complain(task, key, &said, &got, again ? GIVE_UP : FETCH_AGAIN);
	return again ? -EBADMSG : -EAGAIN;
}

/* -- what came in ranges -- */

bool fill_check_due_locked(const struct fill *fill, const struct node *node)
{
	return !fill->proved && fill->sum.kind != SUM_NONE && node->locked.content == CONTENT_REMOTE &&
	       !node->locked.draft && !node->locked.gone && node->locked.open && node->locked.size &&
	       ranges_cover(&node->locked.present, 0, node->locked.size);
}

void fill_check_begin_locked(struct fill *fill, struct node *node, struct fill_task *task)
{
	(void)fill;
	task->busy = task->check = true;
	task->ahead = true;
	task->outdated = task->whole = task->held = false;
	task->start = task->at = task->end = node->locked.size;
	task->version = node->locked.version;
	memcpy(task->etag, node->locked.etag, sizeof(task->etag));
	task->open = open_blob_get(node->locked.open);
	fill_queue(task, true);
}

int fill_check_run(struct fill_task *task)
{
	struct sum said = said_of(task), got;
	char key[KEY_BYTES_MAX + 1];

	int error = compare(task, &said, &got);
	if (error == -EBADMSG && !bucket_sum_differs(task->fill->fills->flow->bucket, &said, false))
		return 0;
	if (error == -EBADMSG) {
		if (fill_record_key(task, key))
			strcpy(key, "?");
		complain(task, key, &said, &got, THROW_AWAY);
	}
	return error;
}

void fill_check_end_locked(struct fill_task *task, struct node *node, int error)
{
	struct fill *fill = task->fill;

	if (error == -ECANCELED || !fill_task_current(task, node))
		return;
	if (!error) {
		fill->proved = true;
		fill->unrecorded++;
		return;
	}
	suspect(fill->fills, node_ino(node));
	fill->changed = true;
	error = fill_record_forget_locked(fill, node);
	if (error)
		log_warn("fill: wrong bytes are not forgotten in the index ino=%llu error=%s",
			 (unsigned long long)node_ino(node), strerror(-error));
}
