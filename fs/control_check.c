/* POST /check {"repair":"no"|"preen"|"yes", "deep":…, "headers":…, "cache_only":…}: what fsck.tootfs asks of a mounted cache. An
 * item for each finding; the sums are in the last line. */
#include <errno.h>
#include <string.h>
#include "cache/check.h"
#include "control_verbs.h"

static void finding(void *arg, const struct check_finding *f)
{
	static const char *const outcomes[] = {"left", "mended", "failed"};
	const struct check_rule *rule = check_rule(f->code);

	control_line(arg, "item",
		     json_pack("{ss so sI sI ss so ss ss ss}", "code", rule->name, "key", control_text(f->key), "blob",
			       (json_int_t)f->blob, "size", (json_int_t)f->size, "sentence", rule->sentence, "detail",
			       control_text(f->detail), "mend", rule->mend ? rule->mend : "", "outcome",
			       outcomes[f->outcome], "error", f->error ? strerror(-f->error) : ""));
}

static void progress(void *arg, const struct check_progress *p)
{
	control_line(arg, "progress",
		     json_pack("{sI sI ss}", "keys", (json_int_t)p->keys, "total", (json_int_t)p->total, "what", p->what));
}

static void end(struct control_stream *stream, const struct check_sums *s)
{
	const struct {
		const char *name;
		uint64_t number;
	} rows[] = {
	    {"objects", s->objects}, {"files", s->files},     {"bytes", s->bytes},   {"unlisted", s->unlisted},
	    {"pending", s->pending}, {"changed", s->changed}, {"damage", s->damage}, {"mended", s->mended},
	    {"left", s->left},	     {"notes", s->notes},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		control_total(stream, rows[i].name, json_integer((json_int_t)rows[i].number));
}

int control_check(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	const char *repair = json_string_value(json_object_get(options, "repair"));
	const struct check_options check = {
	    .repair = repair && !strcmp(repair, "yes")	   ? CHECK_YES
		      : repair && !strcmp(repair, "preen") ? CHECK_PREEN : CHECK_REPORT,
	    .deep = control_switch(options, "deep"),
	    .headers = control_switch(options, "headers"),
	    .cache_only = control_switch(options, "cache_only"),
	    .upload_age_s = control_number(options, "upload_age_s", 0),
	    .live = true,
	};
	const struct check_visitor visitor = {
	    .finding = finding, .progress = progress, .cancelled = control_cancelled, .arg = stream};
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct check_sums sums;
	int r = check_run(cache, &check, &visitor, &sums, &why);

	if (r)
		control_say(stream, "%s", why.length ? buf_string(&why) : strerror(-r));
	end(stream, &sums);
	return r;
}
