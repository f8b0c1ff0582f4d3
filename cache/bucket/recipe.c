/* From a recipe to a key. */
#include "recipe.h"
#include <errno.h>
#include <string.h>
#include "ops.h"

void recipe_wipe(struct recipe *recipe)
{
	explicit_bzero(recipe, sizeof(*recipe));
}

int recipe_follow(const struct recipe *recipe, const atomic_bool *stop, struct credentials *out)
{
	int r = 0;

	memset(out, 0, sizeof(*out));
	switch (recipe->kind) {
	case RECIPE_KEY:
		*out = recipe->key;
		break;
	case RECIPE_WEB_IDENTITY:
		r = web_identity_get(recipe, stop, out);
		break;
	case RECIPE_PROCESS:
		r = process_get(recipe, stop, out);
		break;
	case RECIPE_CONTAINER:
		r = container_get(recipe, stop, out);
		break;
	case RECIPE_INSTANCE:
		r = instance_get(recipe, stop, out);
		break;
	}
	if (r == 0 && !credentials_printable(out))
		r = fault_set(-EACCES, false,
			      "%s: the key contains a blank or a character that no key has",
			      recipe->from);
	if (r)
		credentials_wipe(out);
	return r;
}
