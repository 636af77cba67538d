"""What is kept in Redis for one tenant within a bound of bytes: the entry whose time ends first makes room.

Lua, to stand before a script that calls ``keep``. Each entry is the keys ``<prefix><name>`` and
``<prefix><name>:data``. A sorted set has the ends of their times (milliseconds), a hash their sizes and, as ``''``, the
sum. Redis may drop any of these keys when its own memory is short: then the sum begins anew.
"""

from __future__ import annotations

from typing import Final

OVERHEAD: Final = 512
"""Bytes that an entry counts beside its answer, so that very small ones are bounded too."""

KEEP: Final = f"""
local function forget(index, sizes, prefix, name, but)
  if not but then redis.call('DEL', prefix .. name, prefix .. name .. ':data') end
  redis.call('ZREM', index, name)
  local size = redis.call('HGET', sizes, name)
  if size then
    redis.call('HINCRBY', sizes, '', -tonumber(size))
    redis.call('HDEL', sizes, name)
  end
end
local function keep(index, sizes, prefix, name, bytes, ttl, max)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if redis.call('EXISTS', index, sizes) < 2 then redis.call('DEL', index, sizes) end
  forget(index, sizes, prefix, name, true)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, 100)) do
    forget(index, sizes, prefix, old)
  end
  local size = bytes + {OVERHEAD}
  redis.call('ZADD', index, now + ttl, name)
  redis.call('HSET', sizes, name, size)
  local sum = redis.call('HINCRBY', sizes, '', size)
  while sum > max do
    local first = redis.call('ZRANGE', index, 0, 0)[1]
    if not first then redis.call('DEL', sizes) break end
    forget(index, sizes, prefix, first)
    sum = tonumber(redis.call('HGET', sizes, '') or 0)
  end
  local longest = math.max(ttl, redis.call('PTTL', index))
  redis.call('PEXPIRE', index, longest)
  redis.call('PEXPIRE', sizes, longest)
end
"""
