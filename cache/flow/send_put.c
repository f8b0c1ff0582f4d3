/* One PUT or copy, and how it is settled.
 *
 *   node            wish        how
 *   DIRTY           any         BLOB    a PUT of the blob's first `size` bytes; multipart above part_size
 *   CLEAN, REMOTE   attrs_only  ATTRS   the object is copied onto itself
 *   CLEAN, REMOTE   content     COPY    from want_source(); THERE where that is this very key
 *   CLEAN           content     BLOB    where there is no source
 *   REMOTE          content     NOWHERE where there is no source: an error, tried again later
 * COPY and ATTRS that do not find what they should copy become BLOB where the node is CLEAN.
 *
 * The blob: its number comes from the record, then it is opened. Published bytes of a blob never change and a number is
 * never given twice, so once it is open, version v can be read from it whatever happens to the node. If it is gone, a later
 * transaction took it out of the record: look again.
 *
 * Settling, with node.lock and one transaction. W = the wish is still the one that was sent; V = the node still has
 * the version that was sent; P = this is its primary key:
 *
 *   gone                 W cannot be: whoever deleted the node made the wish ABSENT, or forgot it, and it forgets
 *                        none that may have been sent (want.c). So what we just put is deleted next.
 *   V  W  DIRTY          CLEAN; home = P ? "" : this key
 *   V  W  CLEAN, REMOTE  P: home = "", and the record of the former home loses its hold (it is newer by that: nothing
 *                        is done there before a checkpoint covers that the node has left, see send_choose.c)
 *   V     its content is read from this key: its ETag is the new object's, whatever became of the wish
 *   V  W                 the record is deleted; or, where headers were sent that no longer hold, turned into attrs_only
 *   else                 the record stays and is sent in its turn. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/base/log.h"
#include "checkpoint.h"
#include "sound.h"
#include "stream_internal.h"
#include "want.h"

enum { LOOKS_MAX = 5 };

/* -- reading what is to be done -- */

void send_attrs_of(const struct node_record *record, struct object_attrs *out)
{
	*out = (struct object_attrs){
		.valid = true,
		.mode = record->mode,
		.uid = record->uid,
		.gid = record->gid,
		.mtime_ns = record->mtime_ns,
	};
}

static bool same_attrs(const struct object_attrs *a, const struct object_attrs *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->mtime_ns == b->mtime_ns;
}

static bool same_wish(const struct pending_record *a, const struct pending_record *b)
{
	return a->want == b->want && a->ino == b->ino && a->version == b->version;
}

/* Its primary key, or "" without one. */
static int primary_key(struct txn *txn, const struct node_record *node, char out[KEY_BYTES_MAX + 1])
{
	out[0] = '\0';
	if (node->flags & NODE_ORPHAN)
		return 0;
	int r = nodes_key(txn, node->ino, out);
	if (r == -ENOENT)
		out[0] = '\0';
	return r == -ENOENT ? 0 : r;
}

static void plan(struct txn *txn, struct put_job *job)
{
	const struct node_record *node = &job->node;
	if (node->content == CONTENT_DIRTY)
		/* not the version that the covered record speaks of: then the node is not covered either */
		job->how = node->version == job->wish.version ? PUT_BLOB : PUT_NOWHERE;
	else if (job->wish.attrs_only)
		job->how = PUT_ATTRS;
	else if (want_source(txn, node, job->source))
		job->how = strcmp(job->source, job->wish.key) ? PUT_COPY : PUT_THERE;
	else
		job->how = node->content == CONTENT_CLEAN ? PUT_BLOB : PUT_NOWHERE;
}

static int read_node(struct sends *s, struct txn *txn, struct put_job *job)
{
	char primary[KEY_BYTES_MAX + 1];
	job->how = PUT_NOWHERE;
	int r = nodes_get(txn, job->wish.ino, &job->node);
	if (r == -ENOENT) {
		job->node = (struct node_record){.ino = job->wish.ino};
		return 0;
	}
	if (!r)
		r = primary_key(txn, &job->node, primary);
	if (r)
		return r;
	const char *lives = job->node.home[0] ? job->node.home : primary;
	job->lives_here = !strcmp(lives, job->wish.key);
	job->with_attrs = s->flow->config.attrs_object || S_ISLNK(job->node.mode);
	send_attrs_of(&job->node, &job->attrs);
	plan(txn, job);
	return 0;
}

static int read_job(struct sends *s, const char *key, struct put_job *job, bool *again)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct send_look look;
	enum send_verdict verdict;

	job->how = PUT_NOTHING;
	send_look(s, &look);
	int r = txn_begin_look(s->flow->index, &txn);
	if (!r)
		r = pending_get(txn, key, &job->wish);
	if (r == -ENOENT)
		return 0;
	if (!r)
		r = send_judge(txn, &look, &job->wish, &verdict);
	if (r)
		return r;
	*again |= verdict == SEND_FREED;
	if (verdict != SEND_IT)
		return 0;
	if (job->wish.want != PENDING_ABSENT)
		return read_node(s, txn, job);
	job->how = PUT_ABSENT;
	return 0;
}

int send_still_wanted(struct sends *s, const struct put_job *job, bool *out)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct pending_record record;
	int r = txn_begin_look(s->flow->index, &txn);
	if (!r)
		r = pending_get(txn, job->wish.key, &record);
	*out = r == 0 && same_wish(&record, &job->wish);
	return r == -ENOENT ? 0 : r;
}

/* After a copy found no source: -EAGAIN if the wish or the node is another one by now, else the error. */
static int unless_changed(struct sends *s, const struct put_job *job, int error)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct pending_record wish;
	struct node_record node;
	int r = txn_begin_look(s->flow->index, &txn);
	if (!r)
		r = pending_get(txn, job->wish.key, &wish);
	if (!r)
		r = nodes_get(txn, job->wish.ino, &node);
	if (r)
		return r == -ENOENT ? -EAGAIN : error;
	bool same = wish.txn == job->wish.txn && node.version == job->node.version &&
		    node.content == job->node.content && !strcmp(node.home, job->node.home) &&
		    !strcmp(node.etag, job->node.etag);
	return same ? error : -EAGAIN;
}

/* A new file that is being written, or was when it was looked at: its first flush makes a new wish. */
static bool is_unfinished(struct sends *s, const struct put_job *job)
{
	bool unfinished = false, wanted;
	if (job->node.version || job->node.blob)
		return false;
	struct node *node = node_find(s->flow->nodes, job->node.ino);
	if (node) {
		lock_take(&node->lock);
		unfinished = node->locked.writers && !node->locked.version && !node->locked.published_blob;
		lock_drop(&node->lock);
		node_put(&node);
	}
	return unfinished || (!send_still_wanted(s, job, &wanted) && !wanted);
}

/* -- sending -- */

static int answered(struct sends *s, struct put_job *job, int r)
{
	job->bucket_failed = r != 0;
	send_answer(s, r, job->wish.key);
	return r;
}

static int open_job_blob(struct sends *s, const struct put_job *job, struct open_blob **out)
{
	int fd;
	if (job->node.blob) {
		int r = blob_open(s->flow->blobs, job->node.blob, &fd);
		if (r)
			return r == -ENOENT ? -EAGAIN : r;
		if (!sound_record(s->flow, &job->node, fd)) { /* the sweep is about to take it out */
			close(fd);
			return -EIO;
		}
	} else if (job->node.size) {
		return -EAGAIN;
	} else {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* an empty file has no blob */
		if (fd < 0)
			return -errno;
	}
	return open_blob_new(job->node.blob, fd, out);
}

static int put_blob(struct sends *s, struct put_job *job, struct object *out)
{
	struct open_blob *open;
	int r = open_job_blob(s, job, &open);
	if (r)
		return r;
	if (job->node.size > s->flow->config.part_size_bytes) {
		r = multipart_put(s, job, open, out);
	} else {
		struct put_request request = {
			.key = job->wish.key,
			.fd = open->fd,
			.length = job->node.size,
			.attrs = job->with_attrs ? &job->attrs : NULL,
		};
		r = answered(s, job, bucket_put(s->flow->bucket, &request, out));
	}
	open_blob_put(&open);
	return r;
}

/* What a listing told of a node says nothing of its attributes, and a copy replaces those of the object: a symlink
 * must not lose its type by that. */
static int learn_attrs(struct sends *s, struct put_job *job, const char *from)
{
	struct object object;
	if (!(job->node.flags & NODE_GUESSED))
		return 0;
	int r = answered(s, job, bucket_head(s->flow->bucket, from, &object));
	if (r)
		return r;
	job->attrs = object.attrs;
	job->with_attrs = object.attrs.valid && (s->flow->config.attrs_object || S_ISLNK(object.attrs.mode));
	return 0;
}

static int copy(struct sends *s, struct put_job *job, const char *from, struct object *out)
{
	bool known = strcmp(from, job->wish.key) || job->lives_here;
	int r = learn_attrs(s, job, from);
	if (r)
		return r;
	struct copy_request request = {
		.from = from,
		.to = job->wish.key,
		.etag = known ? job->node.etag : NULL,
		.size_bytes = job->node.size,
		.attrs = job->with_attrs ? &job->attrs : NULL,
	};
	return answered(s, job, bucket_copy(s->flow->bucket, &request, out));
}

/* An ETag that is not the node's may be our own doing: the index fell back behind a copy (a multipart object gets
 * another one by that), or an answer was lost. Then the object says what it should; or what it should have said before the
 * attributes changed again. Where pieces of the content are here, it must at least have the same mtime to be ours. */
static int renewed_before(struct sends *s, struct put_job *job, struct object *out)
{
	int r = answered(s, job, bucket_head(s->flow->bucket, job->wish.key, out));
	if (!r && (out->size_bytes != job->node.size || !out->attrs.valid || !out->etag[0]))
		return -ESTALE;
	if (r || same_attrs(&out->attrs, &job->attrs))
		return r;
	if (!job->lives_here || (job->node.blob && out->attrs.mtime_ns != job->attrs.mtime_ns))
		return -ESTALE;
	memcpy(job->node.etag, out->etag, sizeof(job->node.etag));
	return copy(s, job, job->wish.key, out);
}

static int put_how(struct sends *s, struct put_job *job, struct object *out)
{
	int r = -ENOENT;
	switch (job->how) {
	case PUT_BLOB:
		return put_blob(s, job, out);
	case PUT_THERE:
		memcpy(out->etag, job->node.etag, sizeof(out->etag));
		return 0;
	case PUT_COPY:
		r = copy(s, job, job->source, out);
		break;
	case PUT_ATTRS:
		r = copy(s, job, job->wish.key, out);
		if (r == -ESTALE)
			r = renewed_before(s, job, out);
		break;
	default:
		break;
	}
	if (r != -ENOENT && r != -ESTALE && r != -EINVAL)
		return r;
	if (job->node.content == CONTENT_CLEAN)
		return put_blob(s, job, out);
	return unless_changed(s, job, r);
}

/* -- settling -- */

static int free_hold(struct txn *txn, const char *home, uint64_t ino)
{
	struct pending_record record;
	int r = pending_get(txn, home, &record);
	if (r || record.holds != ino)
		return r == -ENOENT ? 0 : r;
	record.holds = 0;
	record.fresh = false;
	return pending_put(txn, &record);
}

/* What the record is to become. */
static int settle_content(struct txn *txn, const struct put_job *job, const struct object *object,
			  bool wanted, struct node_record *now)
{
	const char *key = job->wish.key;
	char primary[KEY_BYTES_MAX + 1];
	int r = primary_key(txn, now, primary);
	if (r)
		return r;
	bool is_primary = !strcmp(primary, key);
	bool dirty = now->content == CONTENT_DIRTY;
	bool lives_here = !dirty && !strcmp(now->home[0] ? now->home : primary, key);
	bool arrives = wanted && (dirty || (is_primary && now->home[0]));

	if (arrives || lives_here)
		memcpy(now->etag, object->etag, sizeof(now->etag));
	if (!arrives)
		return lives_here ? nodes_put(txn, now) : 0;
	if (!dirty && strcmp(now->home, key))
		r = free_hold(txn, now->home, now->ino);
	now->home[0] = '\0';
	if (!is_primary)
		strcpy(now->home, key);
	if (dirty)
		now->content = CONTENT_CLEAN;
	return r ? r : nodes_put(txn, now);
}

static int settle_wish(struct txn *txn, const struct put_job *job, const struct node_record *now,
		       struct pending_record *record)
{
	struct object_attrs attrs;
	send_attrs_of(now, &attrs);
	bool guessed = (now->flags | job->node.flags) & NODE_GUESSED;
	if (!job->with_attrs || guessed || same_attrs(&attrs, &job->attrs))
		return pending_delete(txn, record->key);
	record->attrs_only = true;
	record->fresh = false;
	record->attempts = 0;
	record->retry_ns = 0;
	return pending_put(txn, record);
}

/* Without a node the wish should be another one already; if it is not, the object must go. */
static int settle_gone(struct txn *txn, const struct put_job *job, struct pending_record *record)
{
	log_error("send: wish for a node that does not exist, its object is deleted key=%s ino=%llu",
		  record->key, (unsigned long long)job->wish.ino);
	record->want = PENDING_ABSENT;
	record->ino = record->version = 0;
	record->fresh = record->attrs_only = false;
	return pending_put(txn, record);
}

/* *now gets what the node's record is afterwards; ino 0 = there is none. */
static int settle_in(struct txn *txn, const struct put_job *job, const struct object *object,
		     struct node_record *now)
{
	struct pending_record record;
	int r = pending_get(txn, job->wish.key, &record);
	if (r && r != -ENOENT)
		return r;
	bool wanted = r == 0 && same_wish(&record, &job->wish);
	r = nodes_get(txn, job->wish.ino, now);
	if (r == -ENOENT) {
		now->ino = 0;
		r = wanted ? settle_gone(txn, job, &record) : 0;
	} else if (!r && now->version == job->node.version) {
		r = settle_content(txn, job, object, wanted, now);
		if (!r && wanted)
			r = settle_wish(txn, job, now, &record);
	}
	return r || !job->done ? r : multipart_settle(txn, job->done);
}

static int settle_txn(struct sends *s, const struct put_job *job, const struct object *object,
		      struct node_record *now)
{
	AUTO_ABORT struct txn *txn = NULL;
	int r = txn_begin_write(s->flow->index, &txn);
	if (!r)
		r = settle_in(txn, job, object, now);
	return r ? r : txn_commit(&txn);
}

static int settle(struct sends *s, const struct put_job *job, const struct object *object)
{
	struct node_record now;
	struct node *node;
	int r = node_get(s->flow->nodes, job->wish.ino, &node);
	if (r == -ENOENT || r == -EISDIR)
		return settle_txn(s, job, object, &now);
	if (r)
		return r;
	lock_take(&node->lock);
	r = settle_txn(s, job, object, &now);
	if (!r && now.ino && now.version == node->locked.version) {
		node->locked.content = now.content;
		memcpy(node->locked.etag, now.etag, sizeof(node->locked.etag));
	}
	lock_drop(&node->lock);
	node_put(&node);
	return r;
}

/* -- all of it -- */

static void fail(struct sends *s, const struct put_job *job, int error)
{
	if (send_concerns_bucket(error) || error == -ECANCELED || error == -EBUSY)
		return;
	const char *why = job->how == PUT_NOWHERE ? "its content is neither here nor in the bucket"
			  : job->bucket_failed    ? bucket_why()
			  : error == -ENOMSG	  ? "the server lost the upload"
						  : "not the bucket: a local file or memory";
	send_log_failure(s, job->wish.key, error, why);
	send_put_off(s, job->wish.key, &job->wish);
}

static void look_and_send(struct sends *s, struct list *batch, struct put_job *job, bool *again)
{
	const struct claim *claim = container_of(batch->next, struct claim, list);
	struct object object;
	int r = -EAGAIN;
	for (unsigned looks = 0; r == -EAGAIN && looks < LOOKS_MAX; looks++) {
		memset(&object, 0, sizeof(object));
		job->bucket_failed = false;
		r = read_job(s, claim->key, job, again);
		if (r) {
			send_index_failed(s, r);
			return;
		}
		if (job->how == PUT_ABSENT)
			send_remove(s, batch);
		if (job->how == PUT_NOTHING || job->how == PUT_ABSENT || is_unfinished(s, job))
			return;
		r = put_how(s, job, &object);
	}
	if (r) {
		fail(s, job, r);
		return;
	}
	send_count(s, job);
	r = settle(s, job, &object);
	multipart_done(s, job);
	if (r)
		send_index_failed(s, r);
	else
		checkpoint_kick(s->flow->checkpoints);
}

void send_put(struct sends *s, struct list *batch)
{
	struct put_job *job = calloc(1, sizeof(*job));
	bool again = false;

	if (!job) {
		send_index_failed(s, -ENOMEM);
		return;
	}
	look_and_send(s, batch, job, &again);
	uint64_t ino = job->wish.ino;
	free(job);
	if (again) {
		lock_take(&s->lock);
		send_again_locked(s);
		lock_drop(&s->lock);
	}
	if (ino)
		send_tell(s, ino);
}
