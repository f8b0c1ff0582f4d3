/* The background survey: everything once.
 *
 *     walk      the whole listing, page by page; position in meta "survey" once the order is trusted
 *       │ the keys come in no order, or a page cannot be understood
 *       ▼
 *     folders   directory by directory, with delimiter; meta "survey-folders"; what is complete costs no request
 *
 * Either ends with meta "surveyed". A bucket that does not answer is asked again after a pause that doubles to a minute. An answer that
 * cannot be understood (some servers list control characters as broken XML) is asked for a few times; a directory with
 * such an answer is left for those who look into it. */
#include "survey_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/index/names.h"

#define META_POSITION "survey"
#define META_FOLDERS  "survey-folders"
#define META_DONE     "surveyed"

enum { PAUSE_MIN_MS = 1000, PAUSE_MAX_MS = 60000, GARBLED_MAX = 3 };

static int meta_has(struct txn *txn, const char *name, struct buf *value, bool *has)
{
	int r = meta_get(txn, name, value);

	*has = r == 0;
	return r == -ENOENT ? 0 : r;
}

int survey_walk_done(struct survey *s, bool *done)
{
	AUTO_ABORT struct txn *txn = NULL;
	AUTO_BUF struct buf value = BUF_EMPTY;
	int r = txn_begin_read(s->cache->flow.index, &txn);

	*done = false;
	return r ? r : meta_has(txn, META_DONE, &value, done);
}

/* Where to go on. */
static int load(struct survey *s, struct survey_walk *walk, bool *folders)
{
	AUTO_ABORT struct txn *txn = NULL;
	AUTO_BUF struct buf value = BUF_EMPTY, position = BUF_EMPTY;
	bool started = false;
	int r = txn_begin_read(s->cache->flow.index, &txn);

	memset(walk, 0, sizeof(*walk));
	if (!r)
		r = meta_has(txn, META_FOLDERS, &value, folders);
	if (!r)
		r = meta_has(txn, META_POSITION, &position, &started);
	if (!r && position.failed)
		r = -ENOMEM;
	if (r || !started || position.length == 0 || position.length > KEY_BYTES_MAX)
		return r;
	memcpy(walk->last, position.data, position.length);
	walk->last_bytes = position.length;
	walk->keys = SURVEY_PROBATION_KEYS;
	return 0;
}

static int set_meta(struct survey *s, const char *name)
{
	AUTO_ABORT struct txn *txn = NULL;
	int r = txn_begin_write(s->cache->flow.index, &txn);

	if (!r)
		r = meta_put(txn, name, "1", 1);
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		checkpoint_kick(s->cache->flow.checkpoints);
	return r;
}

struct retry {
	int64_t pause_ms;
	unsigned garbled;
};

/* Waits before the next try; false: trying again will not help. */
static bool again(struct survey *s, struct retry *retry, int error)
{
	if ((error == -EPROTO || error == -EINVAL) && ++retry->garbled >= GARBLED_MAX)
		return false;
	int64_t pause_ms = retry->pause_ms ? 2 * retry->pause_ms : PAUSE_MIN_MS;
	retry->pause_ms = pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS;
	int64_t until_ms = clock_ms() + retry->pause_ms;

	lock_take(&s->lock);
	while (!s->locked.stopping && wakeup_wait_until(&s->wake, &s->lock, until_ms))
		;
	lock_drop(&s->lock);
	return true;
}

/* -- the whole listing -- */

static int apply(struct survey *s, struct survey_walk *walk, const struct list_page *page)
{
	struct flow *flow = &s->cache->flow;
	AUTO_ABORT struct txn *txn = NULL;
	struct survey_found found = { .keys = 0 };
	int r = index_tight(flow->index) ? -ENOSPC : txn_begin_write(flow->index, &txn);

	if (!r)
		r = survey_apply_walk(txn, s->cache->config, walk, page, &found);
	if (!r && !page->token)
		r = survey_apply_end(txn, walk, &found);
	if (!r && !page->token)
		r = meta_put(txn, META_DONE, "1", 1);
	if (!r && walk->keys >= SURVEY_PROBATION_KEYS && walk->last_bytes)
		r = meta_put(txn, META_POSITION, walk->last, walk->last_bytes);
	if (!r)
		r = txn_commit(&txn);
	if (r)
		return r;
	checkpoint_kick(flow->checkpoints);
	survey_note(s, &found);
	return 0;
}

/* One page: *walk and *token are changed only when all of it is in the index. */
static int step(struct survey *s, struct survey_walk *walk, char **token)
{
	char after[KEY_BYTES_MAX + 1];
	struct list_request request = { .prefix = "", .token = *token };
	struct survey_walk *next = malloc(sizeof(*next));
	struct list_page page;

	if (!next)
		return -ENOMEM;
	if (!*token) /* start-after is text: what follows a NUL is listed again, which does no harm */
		walk->last_bytes = strnlen(walk->last, walk->last_bytes);
	memcpy(after, walk->last, walk->last_bytes);
	after[walk->last_bytes] = '\0';
	if (walk->last_bytes && !*token)
		request.after = after;
	int r = survey_list(s, &request, &page);
	if (!r) {
		*next = *walk;
		r = apply(s, next, &page);
		if (r && r != -EILSEQ)
			log_error("survey: cannot take over a listing error=%s", strerror(-r));
		if (!r) {
			*walk = *next;
			free(*token);
			*token = page.token;
			page.token = NULL;
		}
		list_page_destroy(&page);
	}
	free(next);
	return r;
}

/* 0: all is listed. -EILSEQ: not this way. -ECANCELED. */
static int walk_all(struct survey *s, struct survey_walk *walk)
{
	AUTO_FREE char *token = NULL;
	struct retry retry = { 0, 0 };

	do {
		int r = survey_stopping(s) ? -ECANCELED : step(s, walk, &token);
		if (r == -EILSEQ || (r && survey_stopping(s)))
			return r;
		if (!r) {
			retry = (struct retry){ 0, 0 };
			continue;
		}
		if (!again(s, &retry, r))
			return -EILSEQ;
		/* A token may be too old by the time the bucket is back: go on after the last key. */
		free(token);
		token = NULL;
		if (walk->keys < SURVEY_PROBATION_KEYS)
			memset(walk, 0, sizeof(*walk));
	} while (token || retry.pause_ms);
	return 0;
}

/* -- directory by directory -- */

struct level {
	uint64_t ino;
	bool begun;
	struct names_position after;
};

struct next_folder {
	struct level *level;
	uint64_t ino;
};

static int take_folder(void *arg, const struct name *name)
{
	struct next_folder *next = arg;

	if (!name->folder)
		return 0;
	next->ino = name->ino;
	strcpy(next->level->after.text, name->text);
	next->level->after.folder = true;
	next->level->begun = true;
	return 1;
}

/* The next sub-directory; 0 = there is none. */
static int next_folder(struct survey *s, struct level *level, uint64_t *ino)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct next_folder next = { level, 0 };
	int r = txn_begin_read(s->cache->flow.index, &txn);

	if (!r)
		r = names_each(txn, level->ino, level->begun ? &level->after : NULL, take_folder, &next);
	*ino = next.ino;
	return r < 0 ? r : 0;
}

static int list_until_known(struct survey *s, uint64_t ino)
{
	struct retry retry = { 0, 0 };
	int r;

	while ((r = survey_folder_once(s, ino)) != 0 && r != -ENOENT) {
		if (survey_stopping(s))
			return -ECANCELED;
		if (!again(s, &retry, r)) {
			log_error("survey: a folder cannot be listed, going on without it ino=%" PRIu64, ino);
			return 0;
		}
	}
	return 0;
}

static int walk_folders(struct survey *s)
{
	enum { DEPTH_MAX = KEY_BYTES_MAX / 2 + 1 };
	AUTO_FREE struct level *levels = calloc(DEPTH_MAX, sizeof(*levels));
	size_t depth = 1;
	uint64_t ino;

	if (!levels)
		return -ENOMEM;
	levels[0].ino = INO_ROOT;
	int r = list_until_known(s, INO_ROOT);
	while (!r && depth > 0) {
		r = survey_stopping(s) ? -ECANCELED : next_folder(s, &levels[depth - 1], &ino);
		if (r)
			break;
		if (!ino || depth == DEPTH_MAX) {
			depth--;
			continue;
		}
		r = list_until_known(s, ino);
		levels[depth++] = (struct level){ .ino = ino };
	}
	return r ? r : set_meta(s, META_DONE);
}

/* -- the thread -- */

static int survey_all(struct survey *s, struct survey_walk *walk)
{
	bool folders;
	int r = load(s, walk, &folders);

	if (r)
		return r;
	if (!folders) {
		r = walk_all(s, walk);
		if (r != -EILSEQ)
			return r;
		log_info("survey: this bucket cannot be listed in one go, going on folder by folder");
		r = set_meta(s, META_FOLDERS);
	}
	return r ? r : walk_folders(s);
}

static void finish(struct survey *s, bool done)
{
	struct survey_stats stats;

	lock_take(&s->lock);
	s->locked.stats.running = false;
	s->locked.stats.done = done;
	stats = s->locked.stats;
	lock_drop(&s->lock);
	if (done)
		log_info("survey: done, everything in the bucket is known keys=%" PRIu64 " folders=%" PRIu64
			 " not_shown=%" PRIu64, stats.keys, stats.folders, stats.skipped);
}

void *survey_walk_run(void *survey)
{
	struct survey *s = survey;
	struct survey_walk *walk = malloc(sizeof(*walk));
	struct retry retry = { 0, 0 };
	int r = walk ? survey_all(s, walk) : -ENOMEM;

	while (r && walk && !survey_stopping(s)) {
		log_error("survey: failed, trying again error=%s", strerror(-r));
		retry.garbled = 0;
		again(s, &retry, r);
		r = survey_stopping(s) ? -ECANCELED : survey_all(s, walk);
	}
	finish(s, !r);
	free(walk);
	return NULL;
}
