/* The key in use, and how it is replaced.
 *
 *     the key in use                        a get                               renewal
 *     good                                  returns it                          none
 *     good, in the last part of its time    returns it                          in the background
 *     refused by the server                 waits for the renewal, then         in the background
 *                                           returns whatever is there
 *     expired, or there never was one       waits for the renewal, then fails   in the background
 *
 * A renewal is the whole of it, search and recipe, so that a file, a variable's file or a role may
 * have been exchanged. It is a thread that is started when a get finds that it is time and that
 * ends with its answer; there is at most one. After one that brought nothing new there is a pause
 * of 1, 2, 4 … 30 s, however often the server refuses or a caller asks. A reload (SIGHUP) knows no
 * pause.
 *
 * The last part of its time is 5 minutes, or a quarter of what it had left when it came.
 *
 * What an operator has to know is logged once, when it gets worse, and once when it is over:
 *     renewal fails, the key is still good                  warning
 *     no valid key, or the server refuses the one we have   error */
#include "credentials.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "ops.h"
#include "renewal.h"

enum { WAIT_MS_MAX = 10000, PAUSE_MS = 1000, PAUSE_MS_MAX = 30000 };
#define NS_PER_S INT64_C(1000000000)
#define AHEAD_NS (300 * NS_PER_S)

struct credential_source {
	/* fixed at birth; "" = not given */
	char *env_file, *credentials, *profile, *bucket, *region;
	int64_t wait_ms;

	atomic_bool stop;
	atomic_bool trouble; /* told is not nothing, or refused: for a glance without the lock */
	struct lock lock;
	struct wakeup settled; /* running became false, or stop */
	struct {
		struct credentials now; /* access_key "" = there never was one */
		int64_t renew_ns;	/* when to begin; 0 = never */
		bool refused;
		bool probation; /* it replaced one that was refused, and has not worked yet */
		char code[64];	/* of the refusal */

		pthread_t thread;
		bool running, started; /* started: to be joined */
		bool reload;	       /* the renewal that runs or comes next was asked for */
		bool once_more;	       /* asked for while one was running */

		int error; /* of the last renewal; 0 = it brought a key */
		bool again;
		char why[512];
		int64_t pause_ms, next_ms;
		enum renewal_told told;
	} locked;
};

void credentials_wipe(struct credentials *c)
{
	explicit_bzero(c, sizeof(*c));
}

bool credentials_same(const struct credentials *a, const struct credentials *b)
{
	return strcmp(a->access_key, b->access_key) == 0 && strcmp(a->secret, b->secret) == 0 &&
	       strcmp(a->token, b->token) == 0;
}

static bool is_printable_word(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

bool credentials_printable(const struct credentials *c)
{
	return is_printable_word(c->access_key) && is_printable_word(c->secret) &&
	       is_printable_word(c->token);
}

/* -- looking for a key; without the lock -- */

static struct search search_of(const struct credential_source *c, struct recipe *recipe,
			       struct place *place)
{
	return (struct search){
	    .env_file = c->env_file,
	    .credentials = c->credentials,
	    .asked_profile = c->profile,
	    .bucket = c->bucket,
	    .region = c->region,
	    .recipe = recipe,
	    .place = place,
	};
}

/* -- what it means; under the lock -- */

static bool is_valid_locked(const struct credential_source *c, int64_t now_ns) REQUIRES(&c->lock)
{
	const struct credentials *key = &c->locked.now;

	return key->access_key[0] && (!key->expires_ns || now_ns < key->expires_ns);
}

static void pause_locked(struct credential_source *c) REQUIRES(&c->lock)
{
	int64_t pause = c->locked.pause_ms ? c->locked.pause_ms * 2 : PAUSE_MS;

	c->locked.pause_ms = pause < PAUSE_MS_MAX ? pause : PAUSE_MS_MAX;
	c->locked.next_ms = clock_ms() + c->locked.pause_ms;
}

static void look_trouble_locked(struct credential_source *c) REQUIRES(&c->lock)
{
	atomic_store(&c->trouble,
		     c->locked.told != TOLD_NOTHING || c->locked.refused || c->locked.probation);
}

static struct news take_key_locked(struct credential_source *c, const struct finding *f,
				   int64_t now_ns) REQUIRES(&c->lock)
{
	bool same = credentials_same(&f->key, &c->locked.now),
	     longer = f->key.expires_ns != c->locked.now.expires_ns;
	struct news news = {.kind = same ? NEWS_NONE : NEWS_NEW};

	c->locked.error = 0;
	if (same && c->locked.refused) {
		/* Still the key that the server refuses. */
		pause_locked(c);
		news.kind = c->locked.told == TOLD_NO_KEY ? NEWS_NONE : NEWS_WORSE;
		news.refused = true;
		c->locked.told = news.told = TOLD_NO_KEY;
		snprintf(news.code, sizeof(news.code), "%s", c->locked.code);
		return news;
	}
	/* Its service has not made another one yet; or that may be refused as well. */
	c->locked.probation |= c->locked.refused;
	if (c->locked.probation ||
	    (same && !longer && c->locked.renew_ns && now_ns >= c->locked.renew_ns)) {
		pause_locked(c);
	} else {
		c->locked.pause_ms = 0;
		c->locked.next_ms = 0;
	}
	if (!same || longer) {
		int64_t left = f->key.expires_ns - now_ns;

		c->locked.renew_ns =
		    f->key.expires_ns
			? f->key.expires_ns - (left / 4 < AHEAD_NS ? left / 4 : AHEAD_NS)
			: 0;
	}
	c->locked.now = f->key;
	c->locked.refused = false;
	if (c->locked.told != TOLD_NOTHING)
		news.kind = NEWS_OVER;
	c->locked.told = TOLD_NOTHING;
	return news;
}

static struct news take_failure_locked(struct credential_source *c, const struct finding *f,
				       int64_t now_ns) REQUIRES(&c->lock)
{
	bool valid = is_valid_locked(c, now_ns);
	enum renewal_told told = valid && !c->locked.refused ? TOLD_RENEWAL_FAILS : TOLD_NO_KEY;
	struct news news = {.told = told};

	c->locked.error = f->error;
	c->locked.again = f->again;
	snprintf(c->locked.why, sizeof(c->locked.why), "%s", f->why);
	pause_locked(c);
	/* A reload of what is wrong now, while the key in use is good: that is told each time. */
	if (told > c->locked.told || c->locked.reload) {
		news.kind = NEWS_WORSE;
		c->locked.told = told;
	}
	return news;
}

static struct news take_locked(struct credential_source *c, const struct finding *f)
    REQUIRES(&c->lock)
{
	int64_t now_ns = clock_wall_ns();
	struct news news;

	if (f->error == -ECANCELED)
		return (struct news){.kind = NEWS_NONE};
	news = f->error ? take_failure_locked(c, f, now_ns) : take_key_locked(c, f, now_ns);
	if (news.kind == NEWS_NONE && c->locked.reload)
		news.kind = NEWS_READ;
	news.left_s =
	    c->locked.now.expires_ns ? (c->locked.now.expires_ns - now_ns) / NS_PER_S + 1 : 0;
	look_trouble_locked(c);
	return news;
}

/* -- the renewal -- */

static void *renew(void *arg)
{
	struct credential_source *c = arg;
	struct finding f;
	struct place place;
	bool more;

	do {
		struct news news;

		struct search s = search_of(c, NULL, &place);
		renewal_find(&s, &c->stop, &f);
		lock_take(&c->lock);
		news = take_locked(c, &f);
		more = c->locked.once_more && !atomic_load(&c->stop);
		c->locked.reload = more;
		c->locked.once_more = false;
		if (!more) {
			c->locked.running = false;
			wakeup_all(&c->settled);
		}
		lock_drop(&c->lock);
		renewal_tell(&news, &f);
		explicit_bzero(&f, sizeof(f));
	} while (more);
	return NULL;
}

/* The last one has nothing left to do but to write its line, so waiting for it is short. */
static void start_locked(struct credential_source *c) REQUIRES(&c->lock)
{
	int r;

	if (c->locked.running || atomic_load(&c->stop))
		return;
	if (c->locked.started)
		pthread_join(c->locked.thread, NULL);
	r = thread_start(&c->locked.thread, "tootfs-key", renew, c);
	c->locked.started = c->locked.running = r == 0;
	if (r == 0)
		return;
	c->locked.error = -EACCES;
	c->locked.again = true;
	snprintf(c->locked.why, sizeof(c->locked.why), "no thread to renew the credentials: %s",
		 strerror(-r));
	pause_locked(c);
}

static bool is_due_locked(const struct credential_source *c, int64_t now_ns) REQUIRES(&c->lock)
{
	bool wanted = !is_valid_locked(c, now_ns) || c->locked.refused ||
		      (c->locked.renew_ns && now_ns >= c->locked.renew_ns);

	return wanted && clock_ms() >= c->locked.next_ms;
}

static int no_key_locked(const struct credential_source *c) REQUIRES(&c->lock)
{
	bool never = !c->locked.now.access_key[0];

	if (c->locked.running)
		return fault_set(never ? -EHOSTDOWN : -EACCES, true,
				 "no valid credentials: whoever should give them takes its time");
	/* Where there never was one, a known cache may still be mounted, as without a bucket. */
	return fault_set(never && c->locked.error == -EHOSTDOWN ? -EHOSTDOWN : -EACCES,
			 c->locked.again, "no valid credentials: %s",
			 c->locked.error ? c->locked.why : "they have expired");
}

static int get_locked(struct credential_source *c, struct credentials *out) REQUIRES(&c->lock)
{
	int64_t deadline_ms = clock_ms() + c->wait_ms;
	bool in_time = true;

	if (is_due_locked(c, clock_wall_ns()))
		start_locked(c);
	for (;;) {
		bool valid = is_valid_locked(c, clock_wall_ns());

		if (atomic_load(&c->stop))
			return fault_set(-ECANCELED, false, "stopped");
		if (valid && !(c->locked.refused && c->locked.running && in_time)) {
			*out = c->locked.now;
			return 0;
		}
		if (!c->locked.running || !in_time)
			return no_key_locked(c);
		in_time = wakeup_wait_until(&c->settled, &c->lock, deadline_ms);
	}
}

int credentials_get(struct credential_source *c, struct credentials *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	lock_take(&c->lock);
	r = get_locked(c, out);
	lock_drop(&c->lock);
	return r;
}

/* -- what the server says -- */

void credentials_refused(struct credential_source *c, const struct credentials *which,
			 const char *code)
{
	lock_take(&c->lock);
	if (credentials_same(which, &c->locked.now)) {
		c->locked.refused = true;
		snprintf(c->locked.code, sizeof(c->locked.code), "%s", code);
		look_trouble_locked(c);
	}
	lock_drop(&c->lock);
}

void credentials_worked(struct credential_source *c, const struct credentials *which)
{
	bool over = false;

	if (!atomic_load(&c->trouble))
		return;
	lock_take(&c->lock);
	if ((c->locked.refused || c->locked.probation) && credentials_same(which, &c->locked.now)) {
		over = c->locked.refused && c->locked.told == TOLD_NO_KEY;
		if (c->locked.refused)
			c->locked.told = TOLD_NOTHING;
		c->locked.refused = c->locked.probation = false;
		c->locked.pause_ms = c->locked.next_ms = 0;
		look_trouble_locked(c);
	}
	lock_drop(&c->lock);
	if (over)
		log_warn("credentials: the server takes them again");
}

/* -- life -- */

int credentials_reload(struct credential_source *c, struct place *place)
{
	struct recipe *recipe = malloc(sizeof(*recipe));
	struct search s = search_of(c, recipe, place);
	int r;

	fault_clear();
	memset(place, 0, sizeof(*place));
	place->path_style = -1;
	r = recipe ? search_run(&s) : fault_set(-ENOMEM, true, "no memory for a key");
	buf_destroy(&s.looked);
	if (recipe)
		recipe_wipe(recipe);
	free(recipe);
	lock_take(&c->lock);
	c->locked.pause_ms = 0;
	c->locked.next_ms = 0;
	if (c->locked.running) {
		c->locked.once_more = true;
	} else {
		c->locked.reload = true;
		start_locked(c);
	}
	lock_drop(&c->lock);
	return r;
}

/* NAME of s3://NAME/PREFIX, for a passwd file. */
static char *bucket_of_spec(const char *spec)
{
	if (!spec || strncmp(spec, "s3://", 5) != 0)
		return strdup("");
	return strndup(spec + 5, strcspn(spec + 5, "/"));
}

static char *copy(const char *text)
{
	return strdup(text ? text : "");
}

static struct credential_source *source_new(const struct bucket_config *config)
{
	struct credential_source *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	lock_init(&c->lock);
	wakeup_init(&c->settled);
	c->wait_ms = config->io_timeout_ms > 0 && config->io_timeout_ms < WAIT_MS_MAX
			 ? config->io_timeout_ms
			 : WAIT_MS_MAX;
	c->env_file = copy(config->env_file);
	c->credentials = copy(config->credentials);
	c->profile = copy(config->profile);
	c->region = copy(config->region);
	c->bucket = bucket_of_spec(config->spec);
	if (!c->env_file || !c->credentials || !c->profile || !c->region || !c->bucket)
		credentials_close(&c);
	return c;
}

int credentials_open(const struct bucket_config *config, struct credential_source **out,
		     struct place *place)
{
	struct credential_source *c = source_new(config);
	struct finding f;
	struct search s;
	struct news news;

	*out = NULL;
	memset(place, 0, sizeof(*place));
	place->path_style = -1;
	if (!c)
		return fault_set(-ENOMEM, false, "no memory for credentials");
	s = search_of(c, NULL, place);
	renewal_find(&s, &c->stop, &f);
	if (f.error && f.error != -EHOSTDOWN) {
		credentials_close(&c);
		return f.error;
	}
	lock_take(&c->lock);
	news = take_locked(c, &f);
	lock_drop(&c->lock);
	renewal_tell(&news, &f);
	explicit_bzero(&f, sizeof(f));
	*out = c;
	return 0;
}

void credentials_stop(struct credential_source *c)
{
	lock_take(&c->lock);
	atomic_store(&c->stop, true);
	wakeup_all(&c->settled);
	lock_drop(&c->lock);
}

void credentials_close(struct credential_source **source)
{
	struct credential_source *c = *source;

	*source = NULL;
	if (!c)
		return;
	credentials_stop(c);
	if (c->locked.started)
		pthread_join(c->locked.thread, NULL);
	credentials_wipe(&c->locked.now);
	wakeup_destroy(&c->settled);
	lock_destroy(&c->lock);
	free(c->env_file);
	free(c->credentials);
	free(c->profile);
	free(c->region);
	free(c->bucket);
	free(c);
}
