/* What can be asked for by POST: a path and its work. */
#include "control_verbs.h"
#include "control_internal.h"

const struct control_verb control_verbs[] = {
    {"/sync", control_sync},
    {NULL, NULL},
};
