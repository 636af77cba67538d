// What the scripted upstream says: the model list, a plain chat answer, a stream token by token.
#pragma once
#include "connection.h"

bool chat_models(Conn *c);
bool chat_begin(Conn *c, const char *body);  // body: JSON text ending in NUL
bool chat_step(Conn *c);                     // the next event of the stream
