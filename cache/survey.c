/* Who lists a directory, and who waits for it.
 *
 * A run is one listing of one directory, on the stack of the thread that began it; others who want the same directory wait
 * at it and leave with its result. Pages are committed one by one, the last with NODE_COMPLETE, so that a listing that
 * breaks off has cost nothing but its time. Applying is survey_apply.c's. */
#include "survey_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"

struct run {
	struct list link;
	uint64_t ino;
	unsigned waiting;
	bool done;
	int result;
};

int survey_open(struct cache *cache, struct survey **out)
{
	struct survey *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->cache = cache;
	lock_init(&s->lock);
	wakeup_init(&s->wake);
	list_init(&s->locked.runs);
	*out = s;
	return 0;
}

void survey_close(struct survey **sp)
{
	struct survey *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	wakeup_destroy(&s->wake);
	lock_destroy(&s->lock);
	free(s);
}

int survey_start(struct survey *s)
{
	bool done;
	int r = survey_walk_done(s, &done);

	lock_take(&s->lock);
	s->locked.stats.done = done;
	s->locked.stats.running = !r && !done && s->cache->config->survey;
	bool run = s->locked.stats.running;
	lock_drop(&s->lock);
	if (r || !run)
		return r;
	r = thread_start(&s->thread, "survey", survey_walk_run, s);
	lock_take(&s->lock);
	s->locked.started = !r;
	if (r)
		s->locked.stats.running = false;
	lock_drop(&s->lock);
	return r;
}

void survey_stop(struct survey *s)
{
	lock_take(&s->lock);
	bool join = s->locked.started;
	s->locked.started = false;
	s->locked.stopping = true;
	wakeup_all(&s->wake);
	while (!list_empty(&s->locked.runs))
		wakeup_wait(&s->wake, &s->lock);
	lock_drop(&s->lock);
	if (join)
		pthread_join(s->thread, NULL);
}

bool survey_stopping(struct survey *s)
{
	lock_take(&s->lock);
	bool stopping = s->locked.stopping;
	lock_drop(&s->lock);
	return stopping;
}

void survey_stats_read(struct survey *s, struct survey_stats *out)
{
	lock_take(&s->lock);
	*out = s->locked.stats;
	lock_drop(&s->lock);
}

/* -- what all listings share -- */

int survey_list(struct survey *s, const struct list_request *request, struct list_page *page)
{
	int r = bucket_list(s->cache->flow.bucket, request, page);

	lock_take(&s->lock);
	bool news = r != -ECANCELED && s->locked.away != (r != 0);
	if (news)
		s->locked.away = r != 0;
	lock_drop(&s->lock);
	if (news && r)
		log_warn("survey: cannot list prefix=%s error=%s why=%s", request->prefix, strerror(-r),
			 bucket_why());
	else if (news)
		log_info("survey: listing works again");
	return r;
}

static void tell_skipped(unsigned why, const struct list_entry *entry)
{
	char key[KEY_BYTES_MAX + 1];
	size_t length = entry->key_bytes < KEY_BYTES_MAX ? entry->key_bytes : KEY_BYTES_MAX;

	memcpy(key, entry->key, length);
	key[length] = '\0';
	log_warn("survey: a key of the bucket is not shown (more of its kind are only counted) key=%s reason=%s",
		 key, survey_skip_text(why));
}

void survey_note(struct survey *s, const struct survey_found *found)
{
	struct flow *flow = &s->cache->flow;
	bool first[SURVEY_SKIPS];

	lock_take(&s->lock);
	s->locked.stats.keys += found->keys;
	s->locked.stats.folders += found->folders;
	for (unsigned why = 0; why < SURVEY_SKIPS; why++) {
		first[why] = found->skipped[why] && !s->locked.skipped[why];
		s->locked.skipped[why] += found->skipped[why];
		s->locked.stats.skipped += found->skipped[why];
	}
	lock_drop(&s->lock);
	for (unsigned why = 0; why < SURVEY_SKIPS; why++)
		if (first[why])
			tell_skipped(why, found->examples[why]);
	for (size_t i = 0; flow->changed && i < found->changed_count; i++)
		flow->changed(flow->changed_arg, found->changed[i]);
}

int survey_prefix(struct txn *txn, uint64_t ino, char out[KEY_BYTES_MAX + 2])
{
	int r = nodes_key(txn, ino, out);

	if (!r && out[0])
		strcat(out, "/");
	return r;
}

void survey_time_set(struct survey *s, uint64_t ino, int64_t ms)
{
	if (!s->cache->config->shared_s)
		return;
	lock_take(&s->lock);
	s->locked.times[ino % SURVEY_TIMES].ino = ino;
	s->locked.times[ino % SURVEY_TIMES].ms = ms;
	lock_drop(&s->lock);
}

int64_t survey_time_get(struct survey *s, uint64_t ino)
{
	lock_take(&s->lock);
	bool known = s->locked.times[ino % SURVEY_TIMES].ino == ino;
	int64_t ms = known ? s->locked.times[ino % SURVEY_TIMES].ms : INT64_MIN;
	lock_drop(&s->lock);
	return ms;
}

/* -- one directory -- */

/* -EALREADY: it is complete. */
static int look(struct survey *s, uint64_t ino, char prefix[KEY_BYTES_MAX + 2])
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;
	int r = txn_begin_read(s->cache->flow.index, &txn);

	if (!r)
		r = nodes_get(txn, ino, &record);
	if (r)
		return r;
	if (!S_ISDIR(record.mode))
		return -ENOENT;
	if (record.flags & NODE_COMPLETE)
		return -EALREADY;
	return survey_prefix(txn, ino, prefix);
}

bool survey_is_complete(struct survey *s, uint64_t ino)
{
	char prefix[KEY_BYTES_MAX + 2];

	return look(s, ino, prefix) == -EALREADY;
}

static int apply(struct survey *s, const struct survey_folder *folder, const struct list_page *page)
{
	struct flow *flow = &s->cache->flow;
	AUTO_ABORT struct txn *txn = NULL;
	struct survey_found found = { .keys = 0 };
	char prefix[KEY_BYTES_MAX + 2];
	int r = index_tight(flow->index) ? -ENOSPC : txn_begin_write(flow->index, &txn);

	/* The same directory by another name (it is complete then, but see for yourself). */
	if (!r)
		r = survey_prefix(txn, folder->ino, prefix);
	if (!r && strcmp(prefix, folder->prefix) != 0)
		r = -EALREADY;
	if (!r)
		r = survey_apply_folder(txn, s->cache->config, folder, page, &found);
	if (!r)
		r = txn_commit(&txn);
	if (r)
		return r;
	checkpoint_kick(flow->checkpoints);
	survey_note(s, &found);
	return 0;
}

static int list_folder(struct survey *s, uint64_t ino)
{
	char prefix[KEY_BYTES_MAX + 2];
	struct list_page page = { .token = NULL };
	AUTO_FREE char *token = NULL;
	bool last = false;
	int r = look(s, ino, prefix);

	while (!r && !last) {
		const struct list_request request = { .prefix = prefix, .delimiter = true, .token = token };
		r = survey_stopping(s) ? -ECANCELED : survey_list(s, &request, &page);
		if (r)
			return r;
		last = !page.token;
		r = apply(s, &(struct survey_folder){ ino, prefix, last }, &page);
		free(token);
		token = page.token;
		page.token = NULL;
		list_page_destroy(&page);
	}
	return r == -EALREADY ? 0 : r;
}

static struct run *find_run(struct survey *s, uint64_t ino)
{
	for (struct list *link = s->locked.runs.next; link != &s->locked.runs; link = link->next) {
		struct run *run = container_of(link, struct run, link);
		if (run->ino == ino)
			return run;
	}
	return NULL;
}

/* Waits for somebody else's run. False: there is none. */
static bool join_run_locked(struct survey *s, uint64_t ino, int *result) REQUIRES(&s->lock);
static bool join_run_locked(struct survey *s, uint64_t ino, int *result)
{
	struct run *run = find_run(s, ino);

	if (!run)
		return false;
	run->waiting++;
	while (!run->done)
		wakeup_wait(&s->wake, &s->lock);
	*result = run->result;
	run->waiting--;
	wakeup_all(&s->wake);
	return true;
}

static void end_run_locked(struct survey *s, struct run *run, int result) REQUIRES(&s->lock);
static void end_run_locked(struct survey *s, struct run *run, int result)
{
	run->result = result;
	run->done = true;
	run->ino = 0; /* nobody joins it any more */
	wakeup_all(&s->wake);
	while (run->waiting)
		wakeup_wait(&s->wake, &s->lock);
	list_remove(&run->link);
	wakeup_all(&s->wake);
}

int survey_folder_once(struct survey *s, uint64_t ino)
{
	struct run run = { .ino = ino };
	int64_t began_ms = clock_ms();
	int result = -ECANCELED;

	lock_take(&s->lock);
	if (s->locked.stopping || join_run_locked(s, ino, &result)) {
		lock_drop(&s->lock);
		return result;
	}
	list_append(&s->locked.runs, &run.link);
	lock_drop(&s->lock);

	result = list_folder(s, ino);
	if (!result)
		survey_time_set(s, ino, began_ms);
	lock_take(&s->lock);
	end_run_locked(s, &run, result);
	lock_drop(&s->lock);
	return result;
}

/* The bucket's failures are logged where they happen. */
static bool is_of_index(int error)
{
	return error == -ENOSPC || error == -EUCLEAN || error == -ENOMEM || error == -EEXIST ||
	       error == -ENAMETOOLONG;
}

int survey_folder(struct survey *s, uint64_t ino)
{
	int r = survey_folder_once(s, ino);

	if (is_of_index(r))
		log_error("survey: cannot take over a listing ino=%" PRIu64 " error=%s", ino, strerror(-r));
	return !r || r == -ENOENT || r == -ECANCELED ? r : -EIO;
}
