/* A cache that is mounted: its daemon does the work, we show it. */
#include <errno.h>
#include <string.h>
#include "fsck.h"

int check_live(struct fsck *f)
{
	static const char *const modes[] = {"no", "no", "preen", "yes"};
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct client_place place = {.uid = -1};
	json_t *end = NULL;
	int r = client_of_cache(f->config.cache, &place, &why), status = FSCK_ERROR;

	if (!r) {
		json_t *body = json_pack("{ss sb sb sb sI}", "repair", modes[f->mode], "deep", f->deep, "headers", f->headers,
					 "cache_only", f->cache_only, "upload_age_s", (json_int_t)f->upload_age_s);
		const struct client_request request = {"POST", "/check", body};
		r = client_stream(&place, &request, report_line, f, &end, &why);
		json_decref(body);
	}
	progress_clear(&f->progress);
	if (r && report_cancelled(f))
		status = FSCK_CANCELLED;
	else if (r)
		complain("the cache is in use, and its daemon does not check it: %s", buf_string(&why));
	else
		status = report_end_json(f, end);
	json_decref(end);
	client_place_destroy(&place);
	return status;
}
