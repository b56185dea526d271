#include "grammar_automaton.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "utf8.h"

namespace {

/** A state's way on is looked up in a table where the grammar tells no more classes of characters apart than this. */
constexpr uint32_t mostTableClasses = 256;
/** Stacks that may be looked at for one mask, or one accepted token: some tenths of a second. */
constexpr uint32_t mostSteps = 4'000'000;
/** Elements of a set of characters that take as long to look at as a stack. */
constexpr uint32_t elementsOfStep = 32;
constexpr size_t mostBytes = size_t(64) << 20;
/** What an entry of an unordered map takes, about. */
constexpr size_t mapEntryBytes = 40;

std::atomic<uint64_t> automata{0};

uint64_t keyOf(uint32_t high, uint32_t low) { return static_cast<uint64_t>(high) << 32 | low; }

} // namespace

GrammarRules::GrammarRules(const int32_t* values, size_t length) {
    if (length < 2 || values[0] < 1 || static_cast<size_t>(values[0]) > length - 2) throw std::invalid_argument("a grammar without rules");
    const auto count = static_cast<uint32_t>(values[0]);
    if (values[1] < 0 || static_cast<uint32_t>(values[1]) >= count) throw std::invalid_argument("a grammar's root is none of its rules");
    root = static_cast<uint32_t>(values[1]);
    alternatives.resize(count);
    for (uint32_t rule = 0; rule < count; rule++) {
        const int32_t start = values[2 + rule];
        if (start < 0) throw std::invalid_argument("a grammar's rule starts before the grammar");
        readRule(values, length, static_cast<size_t>(start), rule);
    }
    findClasses();
}

void GrammarRules::readRule(const int32_t* values, size_t length, size_t start, uint32_t rule) {
    const auto first = static_cast<uint32_t>(elements.size());
    alternatives[rule].push_back(first);
    uint32_t before = end;
    for (size_t at = start;; at += 2) {
        if (at + 1 >= length) throw std::invalid_argument("a grammar's rule has no end");
        // What is below 0 fits nowhere.
        const auto type = static_cast<uint32_t>(values[at]);
        const int32_t value = values[at + 1];
        const bool followsCharacter = before == character || before == notCharacter || before == characterAlternative;
        bool fits = type <= anyCharacter;
        if (type == rangeUpper) fits = followsCharacter;
        if (type == characterAlternative) fits = followsCharacter || before == rangeUpper;
        if (type == reference) fits = value >= 0 && static_cast<size_t>(value) < alternatives.size();
        if (!fits || value < 0) throw std::invalid_argument("a grammar's element is not one that may stand there");
        elements.push_back({type, static_cast<uint32_t>(value)});
        before = type;
        if (type == end) return;
        if (type == alternative) alternatives[rule].push_back(static_cast<uint32_t>(elements.size()));
    }
}

bool GrammarRules::matches(uint32_t position, uint32_t codePoint, uint64_t& looked) const {
    const auto type = elements[position].type;
    if (type == anyCharacter) return true;
    bool isListed = false;
    do {
        looked++;
        const uint32_t low = elements[position].value;
        const bool isRange = elements[position + 1].type == rangeUpper;
        isListed = isListed || (low <= codePoint && codePoint <= (isRange ? elements[position + 1].value : low));
        position += isRange ? 2 : 1;
    } while (elements[position].type == characterAlternative);
    return isListed == (type == character);
}

uint32_t GrammarRules::after(uint32_t position) const {
    do position++;
    while (elements[position].type == rangeUpper || elements[position].type == characterAlternative);
    return position;
}

void GrammarRules::findClasses() {
    classStarts = {0, firstSurrogate, lastSurrogate + 1};
    for (size_t index = 0; index < elements.size(); index++) {
        const auto [type, value] = elements[index];
        if (type == rangeUpper) {
            classStarts.push_back(value + 1);
        } else if (type == character || type == notCharacter || type == characterAlternative) {
            classStarts.push_back(value);
            if (elements[index + 1].type != rangeUpper) classStarts.push_back(value + 1);
        }
    }
    std::sort(classStarts.begin(), classStarts.end());
    classStarts.erase(std::unique(classStarts.begin(), classStarts.end()), classStarts.end());
    while (classStarts.back() > lastCodePoint) classStarts.pop_back();
    const auto find = [this](uint32_t codePoint) {
        return static_cast<uint32_t>(std::upper_bound(classStarts.begin(), classStarts.end(), codePoint) - classStarts.begin()) - 1;
    };
    for (uint32_t codePoint = 0; codePoint < 128; codePoint++) asciiClasses[codePoint] = find(codePoint);
}

uint32_t GrammarRules::classOf(uint32_t codePoint) const {
    if (codePoint < 128) return asciiClasses[codePoint];
    return static_cast<uint32_t>(std::upper_bound(classStarts.begin(), classStarts.end(), codePoint) - classStarts.begin()) - 1;
}

GrammarAutomaton::GrammarAutomaton(const GrammarRules& rules) : id(++automata), rules(rules), stacks{{0, 0}}, opened{0} {}

size_t GrammarAutomaton::sizeBytes() const {
    return stacks.capacity() * (sizeof(Stack) + sizeof(uint32_t)) + (stackIds.size() + stateIds.size() + sparseTable.size()) * mapEntryBytes +
           states.capacity() * sizeof(State) + (members.capacity() + table.capacity()) * sizeof(uint32_t);
}

void GrammarAutomaton::countSteps(uint32_t steps) {
    work += steps;
    if (work > mostSteps) throw GrammarError("The grammar is too ambiguous: it can be read in too many ways at once.");
}

void GrammarAutomaton::checkSize() const {
    if (sizeBytes() > mostBytes) throw GrammarError("The grammar is too ambiguous: what it can be read as does not fit in 64 MiB.");
}

uint32_t GrammarAutomaton::push(uint32_t position, uint32_t below) {
    const auto [entry, isNew] = stackIds.try_emplace(keyOf(position, below), static_cast<uint32_t>(stacks.size()));
    if (isNew) {
        stacks.push_back({position, below});
        opened.push_back(0);
        if (stacks.size() % 1024 == 0) checkSize();
    }
    return entry->second;
}

void GrammarAutomaton::open(uint32_t stack) {
    todo.push_back(stack);
    while (!todo.empty()) {
        const uint32_t current = todo.back();
        todo.pop_back();
        if (opened[current] == round) continue;
        opened[current] = round;
        countStep();
        const auto [position, below] = stacks[current];
        if (current == emptyStack || rules.at(position).type != GrammarRules::reference) {
            found.push_back(current);
            continue;
        }
        const uint32_t rest = rules.endsSequence(position + 1) ? below : push(position + 1, below);
        for (const uint32_t start : rules.alternativesOf(rules.at(position).value))
            todo.push_back(rules.endsSequence(start) ? rest : push(start, rest));
    }
}

/** The state of the stacks in `found`, which are distinct. */
int32_t GrammarAutomaton::intern() {
    if (found.empty()) return none;
    std::sort(found.begin(), found.end());
    uint64_t hash = 14695981039346656037u;
    for (const uint32_t stack : found) hash = (hash ^ stack) * 1099511628211u;
    const auto [begin, end] = stateIds.equal_range(hash);
    for (auto entry = begin; entry != end; entry++) {
        const auto& state = states[entry->second];
        if (state.count == found.size() && std::equal(found.begin(), found.end(), members.begin() + state.first)) return entry->second;
    }
    const auto state = static_cast<int32_t>(states.size());
    states.push_back({static_cast<uint32_t>(members.size()), static_cast<uint32_t>(found.size())});
    members.insert(members.end(), found.begin(), found.end());
    if (rules.classes() <= mostTableClasses) table.resize(states.size() * rules.classes(), unknown);
    stateIds.emplace(hash, state);
    checkSize();
    return state;
}

int32_t GrammarAutomaton::start() {
    todo.clear();
    found.clear();
    round++;
    for (const uint32_t start : rules.alternativesOf(rules.root)) open(rules.endsSequence(start) ? emptyStack : push(start, emptyStack));
    return intern();
}

int32_t GrammarAutomaton::next(int32_t state, uint32_t characterClass) {
    const bool hasTable = rules.classes() <= mostTableClasses;
    const size_t entry = static_cast<size_t>(state) * rules.classes() + characterClass;
    if (hasTable) {
        if (table[entry] != unknown) return table[entry];
    } else {
        const auto known = sparseTable.find(keyOf(state, characterClass));
        if (known != sparseTable.end()) return known->second;
    }
    todo.clear();
    found.clear();
    round++;
    const uint32_t codePoint = rules.firstOf(characterClass);
    const auto [first, count] = states[state];
    for (uint32_t index = first; index < first + count; index++) {
        countStep();
        const auto [position, below] = stacks[members[index]];
        if (members[index] == emptyStack) continue;
        uint64_t looked = 0;
        const bool isRight = rules.matches(position, codePoint, looked);
        // Sets may have hundreds of thousands of elements.
        countSteps(static_cast<uint32_t>(looked / elementsOfStep));
        if (!isRight) continue;
        const uint32_t after = rules.after(position);
        open(rules.endsSequence(after) ? below : push(after, below));
    }
    const int32_t next = intern();
    if (hasTable) table[entry] = next;
    else sparseTable[keyOf(state, characterClass)] = next;
    return next;
}

int32_t GrammarAutomaton::adopt(const GrammarAutomaton& other, int32_t state) {
    todo.clear();
    found.clear();
    std::vector<uint32_t> positions;
    const auto [first, count] = other.states[state];
    for (uint32_t index = first; index < first + count; index++) {
        positions.clear();
        for (uint32_t stack = other.members[index]; stack != emptyStack; stack = other.stacks[stack].below)
            positions.push_back(other.stacks[stack].position);
        uint32_t stack = emptyStack;
        for (size_t depth = positions.size(); depth-- > 0;) stack = push(positions[depth], stack);
        found.push_back(stack);
    }
    return intern();
}
