/* One look for a key, from the options to the answer, and what is said of it.
 *
 * Nothing here is shared: it runs on the thread of the renewal, or on that of the mount. */
#include "renewal.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "ops.h"

/* The metadata service was the last place: that it is not there says that there is no key. */
static int nobody_there(const struct search *s)
{
	return fault_set(-EACCES, fault_of_thread()->again,
			 "no credentials found: looked at %s, and %s; give env_file=FILE or "
			 "credentials=FILE",
			 buf_string(&s->looked), bucket_why());
}

void renewal_find(struct search *s, const atomic_bool *stop, struct finding *out)
{
	struct recipe *recipe = malloc(sizeof(*recipe));

	s->recipe = recipe;
	memset(out, 0, sizeof(*out));
	fault_clear();
	out->error = recipe ? search_run(s) : fault_set(-ENOMEM, true, "no memory for a key");
	if (out->error == 0) {
		snprintf(out->from, sizeof(out->from), "%s", recipe->from);
		out->error = recipe_follow(recipe, stop, &out->key);
		if (out->error && recipe->kind == RECIPE_INSTANCE && out->error != -ECANCELED)
			out->error = nobody_there(s);
	}
	if (out->error == 0 && out->key.expires_ns && out->key.expires_ns <= clock_wall_ns())
		out->error =
		    fault_set(-EACCES, true, "%s: the key that it gives has expired", out->from);
	if (out->error) {
		credentials_wipe(&out->key);
		out->again = fault_of_thread()->again;
		snprintf(out->why, sizeof(out->why), "%s", bucket_why());
	}
	buf_destroy(&s->looked);
	if (recipe)
		recipe_wipe(recipe);
	free(recipe);
}

static void tell_worse(const struct news *n, const struct finding *f)
{
	if (n->told == TOLD_RENEWAL_FAILS && n->left_s)
		log_warn("credentials: they cannot be renewed, those in use are good for another "
			 "%lld s why=%s",
			 (long long)n->left_s, f->why);
	else if (n->told == TOLD_RENEWAL_FAILS)
		log_error("credentials: they cannot be read again, those in use stay why=%s",
			  f->why);
	else if (n->refused)
		log_error("credentials: the server refuses them (%s), and there are no others; "
			  "what is pending is kept and goes on when they are mended: they are "
			  "looked at twice a minute, or at once with SIGHUP from=%s",
			  n->code, f->from);
	else
		log_error("credentials: there are no valid ones; what is pending is kept and goes "
			  "on when they are mended: they are looked at twice a minute, or at once "
			  "with SIGHUP why=%s",
			  f->why);
}

void renewal_tell(const struct news *n, const struct finding *f)
{
	char left[64] = "";

	if (n->left_s)
		snprintf(left, sizeof(left), "good_for_s=%lld ", (long long)n->left_s);
	switch (n->kind) {
	case NEWS_NONE:
		break;
	case NEWS_WORSE:
		tell_worse(n, f);
		break;
	case NEWS_OVER:
		log_warn("credentials: there are valid ones again %sfrom=%s", left, f->from);
		break;
	case NEWS_NEW:
		log_info("credentials: new ones %sfrom=%s", left, f->from);
		break;
	case NEWS_READ:
		if (!f->error)
			log_info("credentials: read again, they are the same %sfrom=%s",
				 left, f->from);
		break;
	}
}
