-- Decides on all subjects of a request at once, on the server's time. The rules are those of `algorithm` and `penalty`, in microseconds.
--
-- KEYS: one hash for each subject, then one list for each sliding log.
-- ARGV: operation, cost or seconds, penalties (0, or 1 and their eight figures), subjects; of each: whether it has penalties,
--       a number that tells policies apart, windows; of each: algorithm, quota, length, burst, index of its list.
-- Answer: outcome, microseconds until it ends, for each subject the seconds it is banned for, for each window: allowed, remaining,
--         microseconds until it would be, microseconds until all is there.
--
-- Leases (GRANT, RETURN) are of fixed windows. ARGV goes on with the share and the most that is handed out at once, how much comes back, and
-- for each window the start of that of which it is. The answer to GRANT has, in place of the microseconds, how much is handed out, and
-- goes on with the start of each window.

local CHECK, PEEK, REFUND, FAILURE, PARDON, BAN, WAIT, GRANT, RETURN = 1, 2, 3, 4, 5, 6, 7, 8, 9
local ADMITTED, LIMITED, CHALLENGE, BANNED = 0, 1, 2, 3
local NEVER = -1

local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * 1000000 + tonumber(time[2])

local read = 0
local function arg()
    read = read + 1
    return tonumber(ARGV[read])
end
local function text(number) return string.format('%.0f', number) end

local operation, cost = arg(), arg()
local penalties
if arg() == 1 then
    penalties = {
        challenge_after = arg(), ban_after_violations = arg(), ban_after_failures = arg(),
        forget_violation = arg(), forget_failure = arg(), ban = arg(), ban_most = arg(), forget_ban = arg(),
    }
end

-- Each algorithm turns what is stored into what it is now: `settle`. Then `used` says how much of the quota is used, `wait` when so
-- much would fit, `reset` when all is there. `add` consumes, or gives back what is negative.
local algorithms = {}

algorithms.counter = {
    fields = 3,
    settle = function(w)
        local start, previous, current = w[1], w[2], w[3]
        local passed, lag = now - start, math.max(0, start - now)
        if lag > 0 and lag <= w.length then
            passed = 0
        elseif lag > 0 or passed >= w.length then
            passed, lag = now % w.length, 0
            local turned = now - passed
            if turned < start then
                previous, current = 0, w.quota
            elseif turned - start == w.length then
                previous, current = current, 0
            else
                previous, current = 0, 0
            end
            start = turned
        end
        w[1], w[2], w[3], w.passed, w.lag = start, previous, current, passed, lag
    end,
    used = function(w) return w[3] + math.ceil(w[2] * ((w.length - w.passed) / w.length) - 1e-9) end,
    wait = function(w)
        local function fades(count, room)
            if room >= count then return 0 end
            return math.ceil(w.length - room * (w.length / count))
        end
        local room = w.quota - cost
        if w[3] <= room then return math.max(1, fades(w[2], room - w[3]) - w.passed) + w.lag end
        return w.length - w.passed + fades(w[3], room) + w.lag
    end,
    reset = function(w)
        if w[3] > 0 then return 2 * w.length - w.passed + w.lag end
        if w[2] > 0 then return w.length - w.passed + w.lag end
        return 0
    end,
    add = function(w, amount)
        local current = w[3] + amount
        w[2], w[3] = math.max(0, w[2] + math.min(0, current)), math.max(0, current)
    end,
}

-- GCRA, and the token bucket, which admits the same. What is used is counted in the time that it takes to work off.
algorithms.rate = {
    fields = 1,
    settle = function(w)
        w.interval = math.ceil(w.length / w.quota)
        w.tolerance = w.interval * w.burst
        if w[1] - now > 2 * w.tolerance then w[1] = now + w.tolerance end
        w.ahead = math.max(0, w[1] - now)
        w.quota = w.burst
    end,
    used = function(w) return math.ceil(w.ahead / w.interval) end,
    fits = function(w) return w.ahead + cost * w.interval <= w.tolerance end,
    wait = function(w) return w.ahead + cost * w.interval - w.tolerance end,
    reset = function(w) return w.ahead end,
    add = function(w, amount)
        w.ahead = math.max(0, w.ahead + amount * w.interval)
        w[1] = now + w.ahead
    end,
}

algorithms.fixed = {
    fields = 2,
    settle = function(w)
        local passed, lag = now - w[1], math.max(0, w[1] - now)
        if lag > w.length then
            -- The next window counts as used up, and not this one, which may end at once.
            w[1], w[2] = now - now % w.length + w.length, w.quota
            lag = w[1] - now
        end
        if lag > 0 then
            passed = 0
        elseif passed >= w.length then
            passed = now % w.length
            w[1], w[2] = now - passed, 0
        end
        w.rest = w.length - passed + lag
    end,
    used = function(w) return w[2] end,
    wait = function(w) return w.rest end,
    reset = function(w) return w[2] > 0 and w.rest or 0 end,
    add = function(w, amount) w[2] = math.max(0, w[2] + amount) end,
}

local function entry(list, index)
    local found = redis.call('LINDEX', list, index)
    if not found then return nil end
    local at, count = string.match(found, '(%d+):(%d+)')
    return tonumber(at), tonumber(count)
end

algorithms.log = {
    fields = 2, -- how much is in the list, and the time of the newest
    settle = function(w)
        local at, count = entry(w.list, 0)
        while at and now - at >= w.length do
            redis.call('LPOP', w.list)
            w[1] = w[1] - count
            at, count = entry(w.list, 0)
        end
        -- A list that is gone says nothing.
        if not at then w[1], w[2] = 0, 0 end
        if w[2] - now > w.length then
            redis.call('DEL', w.list)
            redis.call('RPUSH', w.list, text(now) .. ':' .. text(w.quota))
            w[1], w[2] = w.quota, now
        end
    end,
    used = function(w) return w[1] end,
    wait = function(w)
        local used, index = w[1], 0
        while true do
            local at, count = entry(w.list, index)
            if not at then return 1 end
            used = used - count
            if used + cost <= w.quota then return at + w.length - now end
            index = index + 1
        end
    end,
    reset = function(w) return w[1] > 0 and w[2] + w.length - now or 0 end,
    add = function(w, amount)
        while amount < 0 do
            local at, count = entry(w.list, -1)
            if not at then break end
            local back = math.min(-amount, count)
            if back == count then
                redis.call('RPOP', w.list)
            else
                redis.call('LSET', w.list, -1, text(at) .. ':' .. text(count - back))
            end
            w[1], amount = w[1] - back, amount + back
        end
        if amount > 0 then
            local at, count = entry(w.list, -1)
            if at and at >= now then
                redis.call('LSET', w.list, -1, text(at) .. ':' .. text(count + amount))
            else
                redis.call('RPUSH', w.list, text(now) .. ':' .. text(amount))
                w[2] = now
            end
            w[1] = w[1] + amount
        end
        if w[1] > 0 then redis.call('PEXPIRE', w.list, math.ceil(w.length / 1000) + 1000) end
    end,
}

local by_number = { algorithms.counter, algorithms.log, algorithms.rate, algorithms.rate, algorithms.fixed }

local subjects = {}
for i = 1, arg() do
    local subject = { key = KEYS[i], penalised = arg() == 1, windows = {} }
    local group = arg()
    local fields = { 'v', 'f', 'b', 'n' }
    for j = 1, arg() do
        local number, quota, length, burst, list = arg(), arg(), arg(), arg(), arg()
        local w = { quota = quota, length = length, burst = burst, list = KEYS[list], rule = by_number[number] }
        -- By algorithm and window, so that what was counted in one tier counts in the next.
        w.name = group .. ':' .. number .. ':' .. text(length) .. ':'
        w.first = #fields
        for field = 1, w.rule.fields do fields[#fields + 1] = w.name .. field end
        subject.windows[j] = w
    end
    local stored = redis.call('HMGET', subject.key, unpack(fields))
    local function number(index) return tonumber(stored[index] or 0) end
    subject.violations, subject.failures, subject.banned, subject.bans = number(1), number(2), number(3), number(4)
    for _, w in ipairs(subject.windows) do
        for field = 1, w.rule.fields do w[field] = number(w.first + field) end
        w.rule.settle(w)
        for field = 1, w.rule.fields do
            local before = stored[w.first + field]
            if before and tonumber(before) ~= w[field] then subject.settled = true end
        end
    end
    subjects[i] = subject
end

local function store(subject)
    local fields, life = {}, 0
    local function put(name, value)
        fields[#fields + 1] = name
        fields[#fields + 1] = text(value)
    end
    if subject.penalised and penalties then
        put('v', subject.violations)
        put('f', subject.failures)
        put('b', subject.banned)
        put('n', subject.bans)
        local until_ = math.max(subject.violations, subject.failures)
        if subject.banned > 0 then until_ = math.max(until_, subject.banned + subject.bans * penalties.forget_ban) end
        life = math.max(0, until_ - second) * 1000
    end
    for _, w in ipairs(subject.windows) do
        for field = 1, w.rule.fields do put(w.name .. field, w[field]) end
        life = math.max(life, math.ceil(w.rule.reset(w) / 1000))
    end
    if #fields > 0 then
        redis.call('HSET', subject.key, unpack(fields))
        -- What another tier has counted goes no earlier for it.
        local left = redis.call('PTTL', subject.key)
        redis.call('PEXPIRE', subject.key, math.max(life + 1000, left))
    end
end

-- Also where the request is refused: after the clock was set back, it would be until the clock is where it was before.
if operation ~= PEEK then
    for _, subject in ipairs(subjects) do
        if subject.settled then store(subject) end
    end
end

local function ban(subject)
    local forgotten = math.floor(math.max(0, second - subject.banned) / penalties.forget_ban)
    local before = math.max(0, subject.bans - forgotten)
    local length = math.min(penalties.ban * 2 ^ math.min(before, 31), penalties.ban_most)
    subject.violations, subject.failures, subject.banned, subject.bans = 0, 0, second + length, before + 1
    return length
end

local function count_one(known, each)
    local until_ = math.min(math.max(known, second) + each, second + 1000 * each)
    return until_, math.ceil((until_ - second) / each)
end

local bans = {}
local function blame(subject)
    if (operation ~= CHECK and operation ~= GRANT) or not penalties or not subject.penalised then return 0 end
    local count
    subject.violations, count = count_one(subject.violations, penalties.forget_violation)
    local length = 0
    if penalties.ban_after_violations > 0 and count >= penalties.ban_after_violations then length = ban(subject) end
    store(subject)
    return length
end

local function answer(outcome, wait)
    local told = { outcome, wait }
    for i, _ in ipairs(subjects) do told[#told + 1] = bans[i] or 0 end
    for _, subject in ipairs(subjects) do
        for _, w in ipairs(subject.windows) do
            told[#told + 1] = w.allowed == false and 0 or 1
            told[#told + 1] = math.max(0, w.quota - w.rule.used(w))
            told[#told + 1] = w.wait or 0
            told[#told + 1] = w.rule.reset(w)
        end
    end
    return told
end

local share, most
if operation == GRANT or operation == RETURN then
    share, most = arg(), arg()
    local back = arg()
    for _, subject in ipairs(subjects) do
        for _, w in ipairs(subject.windows) do
            -- What was handed out in a window that has ended is of no use to anybody.
            if arg() == w[1] then w[2] = math.max(0, w[2] - back) end
        end
        if back > 0 then store(subject) end
    end
    if operation == RETURN then return answer(ADMITTED, 0) end
end

if operation == FAILURE or operation == PARDON or operation == BAN then
    for i, subject in ipairs(subjects) do
        if operation == PARDON then
            if subject.violations + subject.failures + subject.banned > 0 then bans[i] = 1 end
            subject.violations, subject.failures, subject.banned, subject.bans = 0, 0, 0, 0
        elseif operation == BAN then
            subject.banned = second + cost
        elseif penalties then
            local count
            subject.failures, count = count_one(subject.failures, penalties.forget_failure)
            if penalties.ban_after_failures > 0 and count >= penalties.ban_after_failures then bans[i] = ban(subject) end
        end
        store(subject)
    end
    return answer(ADMITTED, 0)
end

if operation == REFUND then
    for _, subject in ipairs(subjects) do
        for _, w in ipairs(subject.windows) do w.rule.add(w, -cost) end
        store(subject)
    end
    return answer(ADMITTED, 0)
end

-- The worst that stands against any of the subjects: a ban, the longer one, or a challenge.
local banned, challenged, whom = 0, 0, {}
for i, subject in ipairs(subjects) do
    if penalties and subject.penalised then
        banned = math.max(banned, math.min(subject.banned, second + penalties.ban_most))
        if penalties.challenge_after > 0 then
            local below = (penalties.challenge_after - 1) * penalties.forget_violation
            local until_ = math.min(subject.violations, second + 1000 * penalties.forget_violation)
            if until_ - second > below then
                challenged, whom[i] = math.max(challenged, until_ - below), true
            end
        end
    end
end
if banned > second then return answer(BANNED, banned * 1000000 - now) end
if challenged > 0 then
    for i, subject in ipairs(subjects) do
        if whom[i] then bans[i] = blame(subject) end
    end
    return answer(CHALLENGE, challenged * 1000000 - now)
end

local admitted = true
for _, subject in ipairs(subjects) do
    for _, w in ipairs(subject.windows) do
        if w.rule.fits then w.allowed = w.rule.fits(w) else w.allowed = w.rule.used(w) + cost <= w.quota end
        if not w.allowed then
            admitted, subject.refused = false, true
            w.wait = cost > w.quota and NEVER or w.rule.wait(w)
        end
    end
end
if not admitted then
    for i, subject in ipairs(subjects) do
        if subject.refused then bans[i] = blame(subject) end
    end
    return answer(LIMITED, 0)
end
if operation == GRANT then
    local left = most
    for _, subject in ipairs(subjects) do
        for _, w in ipairs(subject.windows) do left = math.min(left, math.floor((w.quota - w[2]) / share)) end
    end
    local block = math.max(cost, left)
    for _, subject in ipairs(subjects) do
        for _, w in ipairs(subject.windows) do w.rule.add(w, block) end
        store(subject)
    end
    local told = answer(ADMITTED, block)
    for _, subject in ipairs(subjects) do
        for _, w in ipairs(subject.windows) do told[#told + 1] = w[1] end
    end
    return told
end
for _, subject in ipairs(subjects) do
    if operation == PEEK then
        -- As it would stand, without what is stored.
        for _, w in ipairs(subject.windows) do
            if w.rule == algorithms.log then
                w[1] = w[1] + cost
                if cost > 0 then w[2] = math.max(w[2], now) end
            else
                w.rule.add(w, cost)
            end
        end
    else
        for _, w in ipairs(subject.windows) do w.rule.add(w, cost) end
        store(subject)
    end
end
return answer(ADMITTED, 0)
