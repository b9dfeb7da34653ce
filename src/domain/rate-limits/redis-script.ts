import { createHash } from 'node:crypto';

/**
 * Decides a batch of requests, each against all windows of its key. A key is a list of the times, in
 * microseconds, of the accepted requests, oldest first, and never longer than its largest limit. This needs a
 * tenth of the memory of a sorted set. Times come from Redis's clock, so the clocks of the processes need not
 * agree.
 *
 * KEYS: one per request.
 * ARGV: a deadline, after which the script does nothing, because the callers have timed out; the time to use,
 * or 0 for Redis's clock; then per request: 1 to count it or 0 to only read, the number of its windows, and
 * per window its limit and its length.
 * Result: Redis's time; then per request: 1 if it is accepted or 0, and per window the number of requests in
 * it, and the milliseconds until the oldest of them leaves it. Only Redis's time if the deadline has passed.
 */
const text = `
local clock = redis.call('TIME')
local present = clock[1] * 1000000 + clock[2]
local answer = { present }
if present > tonumber(ARGV[1]) then return answer end
if ARGV[2] ~= '0' then present = tonumber(ARGV[2]) end

-- Index and time of the first request in [low, high) that is later than a given time. Most often it is
-- the very first.
local function find_first(key, low, high, after)
  local middle, found = low, nil
  while low < high do
    local time = tonumber(redis.call('LINDEX', key, middle))
    if time > after then
      high, found = middle, time
    else
      low = middle + 1
    end
    middle = math.floor((low + high) / 2)
  end
  return low, found
end

local at = 3
for i = 1, #KEYS do
  local key, counts, windows = KEYS[i], ARGV[at] == '1', tonumber(ARGV[at + 1])
  local limits, lengths, longest = {}, {}, 0
  for w = 1, windows do
    limits[w], lengths[w] = tonumber(ARGV[at + 2 * w]), tonumber(ARGV[at + 2 * w + 1])
    longest = math.max(longest, lengths[w])
  end
  at = at + 2 + 2 * windows

  -- If the clock went back, the last time is used until the clock has caught up, for at most the longest
  -- window.
  local size, now = redis.call('LLEN', key), present
  if size > 0 then
    local last = tonumber(redis.call('LINDEX', key, -1))
    if last > present + longest then
      redis.call('DEL', key)
      size = 0
    else
      now = math.max(present, last)
    end
  end

  local fits, expired, used, oldest = 1, size, {}, {}
  for w = 1, windows do
    local first
    first, oldest[w] = find_first(key, math.max(0, size - limits[w]), size, now - lengths[w])
    used[w] = size - first
    expired = math.min(expired, first)
    if used[w] >= limits[w] then fits = 0 end
  end

  if counts and fits == 1 then
    if expired > 0 then redis.call('LTRIM', key, expired, -1) end
    redis.call('RPUSH', key, string.format('%.0f', now))
    redis.call('PEXPIRE', key, string.format('%.0f', math.ceil((now - present + longest) / 1000)))
    for w = 1, windows do
      used[w], oldest[w] = used[w] + 1, oldest[w] or now
    end
  end

  answer[#answer + 1] = fits
  for w = 1, windows do
    answer[#answer + 1] = used[w]
    answer[#answer + 1] = oldest[w] and math.ceil((oldest[w] + lengths[w] - now) / 1000) or 0
  end
end
return answer
`;

/** The script, and the SHA-1 under which Redis caches it. */
export const windowsScript = { text, sha: createHash('sha1').update(text).digest('hex') };
