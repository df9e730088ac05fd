/**
 * The Lua scripts. Redis runs each alone, and writes its changes to the append-only file and to replicas as one
 * transaction. Anything that can fail in a script (a key of another kind) is checked before its first write, because an
 * error does not undo earlier writes. KEYS[1] is the sink's fence, a hash: epoch, next_offset, updated_at, incarnation.
 * The other keys are in the program: a set named after a member's former group is only known once the script runs, so
 * the scripts do not work with Redis Cluster.
 */

/** ARGV: none. Returns epoch, next_offset, updated_at, incarnation. KEYS[2] is a scratch key. */
export const OPEN_SCRIPT = `
-- Every command a batch may need, once: a missing permission shows here and not in the middle of a batch.
redis.call('DEL', KEYS[2])
redis.call('ZADD', KEYS[2], '0', 'x')
redis.call('ZREM', KEYS[2], 'x')
redis.call('HSET', KEYS[2], 'x', 'x')
redis.call('HMGET', KEYS[2], 'x')
redis.call('HDEL', KEYS[2], 'x')
redis.call('HLEN', KEYS[2])
redis.call('ZCARD', KEYS[2])
redis.call('SET', KEYS[2], 'x')
redis.call('DEL', KEYS[2])
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
return redis.call('HMGET', KEYS[1], 'epoch', 'next_offset', 'updated_at', 'incarnation')
`;

/** ARGV: epoch. Returns 1, or 0 when a newer epoch exists. */
export const REWIND_SCRIPT = `
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and tonumber(epoch) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'next_offset', '0', 'updated_at', '0', 'incarnation', '')
return 1
`;

/** ARGV: epoch, expected offset, next offset, time, incarnation, program. Returns the ApplyResult. */
export const APPLY_SCRIPT = `
local call = redis.call
local fence = call('HMGET', KEYS[1], 'epoch', 'next_offset')
if not fence[1] then return 'offset_mismatch' end
local epoch, mine = tonumber(fence[1]), tonumber(ARGV[1])
if epoch > mine then return 'fenced' end
if epoch < mine or (fence[2] or '0') ~= ARGV[2] then return 'offset_mismatch' end

local p = cmsgpack.unpack(ARGV[6])
local i = 1
-- A key of another kind raises WRONGTYPE here, before anything is written.
for command, check in ipairs({ 'ZCARD', 'HLEN' }) do
  local n = p[i]
  for k = i + 1, i + n do call(check, p[k]) end
  i = i + n + 1
end

local function regroup(groups, prefix, n, at)
  local old = call('HMGET', groups, unpack(p, at, at + n - 1))
  local add, remove, moved, gone = {}, {}, {}, {}
  for k = 1, n do
    local member, to, from = p[at + k - 1], p[at + n + k - 1], old[k]
    if from and from ~= to then
      local list = remove[from]
      if not list then list = {}; remove[from] = list end
      list[#list + 1] = member
    end
    if to then
      local list = add[to]
      if not list then list = {}; add[to] = list end
      list[#list + 1] = p[at + 2 * n + k - 1]
      list[#list + 1] = member
      if from ~= to then
        moved[#moved + 1] = member
        moved[#moved + 1] = to
      end
    elseif from then
      gone[#gone + 1] = member
    end
  end
  for group, members in pairs(remove) do
    -- Someone may have put another kind of value under the former group's key; then no ghost can be in it.
    local answer = redis.pcall('ZREM', prefix .. group, unpack(members))
    if type(answer) == 'table' and not string.find(answer.err, 'WRONGTYPE', 1, true) then error(answer.err) end
  end
  for group, pairs_of_group in pairs(add) do call('ZADD', prefix .. group, unpack(pairs_of_group)) end
  if #moved > 0 then call('HSET', groups, unpack(moved)) end
  if #gone > 0 then call('HDEL', groups, unpack(gone)) end
end

-- A full Redis refuses a script at its first write, and only if that write may need memory; after a DEL it would let
-- everything pass, whatever maxmemory says. This one changes nothing.
call('HSET', KEYS[1], 'epoch', ARGV[1])
local last = #p
while i <= last do
  local code, key = p[i], p[i + 1]
  if code == 3 then
    local stop = i + 2 + 2 * p[i + 2]
    call('HSET', key, unpack(p, i + 3, stop))
    i = stop + 1
  elseif code == 1 then
    local stop = i + 2 + 2 * p[i + 2]
    call('ZADD', key, unpack(p, i + 3, stop))
    i = stop + 1
  elseif code == 7 then
    local n = p[i + 2]
    regroup(key, p[i + 3], n, i + 4)
    i = i + 4 + 3 * n
  elseif code == 6 then
    call('DEL', key)
    i = i + 2
  elseif code == 5 then
    call('SET', key, p[i + 2])
    i = i + 3
  else
    local stop = i + 2 + p[i + 2]
    call(code == 2 and 'ZREM' or 'HDEL', key, unpack(p, i + 3, stop))
    i = stop + 1
  end
end
call('HSET', KEYS[1], 'next_offset', ARGV[3], 'updated_at', ARGV[4], 'incarnation', ARGV[5])
return 'applied'
`;
