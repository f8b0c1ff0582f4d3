#include "work.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/base/clock.h"
#include "cache/bucket/bucket_stats.h"
#include "cache/internal.h"
#include "far.h"
#include "files.h"
#include "record.h"
#include "seams.h"

static void set(struct cache_config *config, const char *name, const char *value)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	if (config_set(config, name, value, &why))
		broken("%s", buf_string(&why));
}

static enum work_kind kind = WORK_PLAIN;

void work_choose(uint64_t seed)
{
	kind = seed % WORK_KINDS;
}

enum work_kind work_chosen(void)
{
	return kind;
}

void work_config(struct cache_config *config, const char *folder)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	config_init(config);
	if (config_spec(config, "file:///far"))
		broken("no memory");
	set(config, "cache", folder);
	set(config, "survey", "off");
	set(config, "file_mode", "0644");
	set(config, "dir_mode", "0755");
	set(config, "durability", kind == WORK_DURABLE ? "bucket" : "cache");
	set(config, "attrs", kind == WORK_ATTRS ? "object" : "none");
	if (config_finish(config, &why))
		broken("%s", buf_string(&why));
	/* below what a user may set */
	config->cache_size_bytes = kind == WORK_LARGE ? 8 << 20 : 640 << 10;
	config->part_size_bytes = 32 << 10;
	config->uploads = 4;
	config->downloads = 2;
	config->full_timeout_ms = 30000;
	config->io_timeout_ms = 30000;
}

/* -- what was there before -- */

static void put_one(struct actor *a, unsigned number, size_t length)
{
	char path[PATH_BYTES];
	char *bytes = malloc(length + 8);
	if (!bytes)
		broken("no memory");
	for (size_t i = 0; i < length; i += 8) {
		uint64_t word = draw(&a->random);
		memcpy(bytes + i, &word, 8);
	}
	snprintf(path, sizeof(path), "%s/old/x%u", a->story->top, number);
	model_set_bytes(model_add_file(&a->model, path, S_IFREG | 0644)->file, bytes, length);
	far_put(path, bytes, length);
	free(bytes);
}

static void put_found(struct actor *a)
{
	char path[PATH_BYTES];
	snprintf(path, sizeof(path), "%s", a->story->top);
	model_add_dir(&a->model, path, 0755);
	snprintf(path, sizeof(path), "%s/old", a->story->top);
	model_add_dir(&a->model, path, 0755);
	for (unsigned i = 0; i < 6; i++)
		put_one(a, i, 500 + draw_below(&a->random, i == 5 ? 200000 : 9000));
	for (unsigned i = 6; kind == WORK_LARGE && i < 8; i++)
		put_one(a, i, (1500 << 10) + draw_below(&a->random, 1500 << 10));
	seam_txns = (struct seam_txns){0, 0};
	actor_note(a, "found");
}

/* -- a life -- */

static struct cache *start(const struct cache_config *config)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	struct cache *cache;
	if (cache_open(config, &cache, &why))
		broken("cache_open: %s", buf_string(&why));
	if (cache_start(cache, NULL))
		broken("cache_start");
	return cache;
}

static void live(const struct cache_config *config, struct actor *actors[ACTORS], struct work *work)
{
	pthread_t threads[ACTORS];
	struct cache *cache = start(config);
	struct evict_stats stats;
	for (int i = 0; i < ACTORS; i++) {
		actors[i]->cache = cache;
		if (pthread_create(&threads[i], NULL, actor_run, actors[i]))
			broken("no threads");
	}
	for (int i = 0; i < ACTORS; i++)
		pthread_join(threads[i], NULL);
	evict_stats_read(cache->flow.evicts, &stats);
	work->evicted += stats.evicted_blobs;
	cache_stop(cache);
	cache_close(&cache);
}

static void count(struct work *work)
{
	for (size_t i = 0; i < work->log.count; i++)
		work->covered += work->log.events[i].kind == EVENT_COVERED;
	work->puts = far.requests[BUCKET_PUT];
	work->copies = far.requests[BUCKET_COPY];
	work->removes = far.requests[BUCKET_REMOVE];
	work->uploads = far.requests[BUCKET_UPLOAD_COMPLETE];
	work->fills = far.requests[BUCKET_GET];
}

void work_run(struct work *work, const char *folder, uint64_t seed, unsigned steps, unsigned lies)
{
	static struct actor memory[ACTORS];
	struct actor *actors[ACTORS];
	struct cache_config config;
	memset(work, 0, sizeof(*work));
	log_init(&work->log);
	work_choose(seed);
	far.random = seed;
	work_config(&config, folder);
	record_start(&work->log, folder, seed, lies);
	for (int i = 0; i < ACTORS; i++) {
		actors[i] = &memory[i];
		actors[i]->story = &work->stories[i];
		actors[i]->random = seed * ACTORS + (uint64_t)i;
		actors[i]->steps = kind == WORK_DURABLE ? steps / 3 : steps / 2;
		snprintf(work->stories[i].top, sizeof(work->stories[i].top), "%c", 'a' + i);
		put_found(actors[i]);
	}
	work->begin = work->log.count;
	far.nap_us = 4000;
	far.lose = kind == WORK_DURABLE ? 0 : 20; /* a close may end with EIO then */
	seam_boot_id = SEAM_BOOT_RECORDED;
	live(&config, actors, work);
	live(&config, actors, work);
	record_stop();
	far.nap_us = 0;
	far.lose = 0;
	for (int i = 0; i < ACTORS; i++)
		model_destroy(&actors[i]->model);
	count(work);
	config_destroy(&config);
}
