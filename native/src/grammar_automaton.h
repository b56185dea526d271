// A grammar's rules, and the automaton that grows over them as texts are matched: a state is a set of stacks of positions in
// the rules, found again by what is in it, and where a state leads is computed once for each class of characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <unordered_map>
#include <vector>

/** A text cannot go on under its grammar; the message says why. */
class GrammarError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/** Immutable. The elements' meaning is llama.cpp's. */
class GrammarRules {
public:
    /** Reads `Grammar.elements` of src/grammar/grammar.ts. Throws std::invalid_argument for what is none. */
    GrammarRules(const int32_t* values, size_t length);

    enum Type : uint32_t { end, alternative, reference, character, notCharacter, rangeUpper, characterAlternative, anyCharacter };

    struct Element {
        uint32_t type;
        uint32_t value;
    };

    const Element& at(uint32_t position) const { return elements[position]; }
    bool endsSequence(uint32_t position) const { return elements[position].type <= alternative; }
    /** Where the alternatives of a rule begin. */
    const std::vector<uint32_t>& alternativesOf(uint32_t rule) const { return alternatives[rule]; }
    /** Of a set of characters: whether this one is in it. Adds to `looked` the elements that were looked at. */
    bool matches(uint32_t position, uint32_t codePoint, uint64_t& looked) const;
    /** Behind a set of characters. */
    uint32_t after(uint32_t position) const;

    /** Characters that no rule tells apart are one class. */
    uint32_t classOf(uint32_t codePoint) const;
    uint32_t classes() const { return static_cast<uint32_t>(classStarts.size()); }
    uint32_t firstOf(uint32_t characterClass) const { return classStarts[characterClass]; }

    uint32_t root = 0;

private:
    void readRule(const int32_t* values, size_t length, size_t start, uint32_t rules);
    void findClasses();

    std::vector<Element> elements;
    std::vector<std::vector<uint32_t>> alternatives;
    /** Ascending; the first is 0. */
    std::vector<uint32_t> classStarts;
    uint32_t asciiClasses[128];
};

class GrammarAutomaton {
public:
    explicit GrammarAutomaton(const GrammarRules& rules);

    static constexpr int32_t none = -1;

    int32_t start();
    /** Where a character of this class leads; `none` where the grammar does not go on with it. */
    int32_t next(int32_t state, uint32_t characterClass);
    /** The text may end here. */
    bool isComplete(int32_t state) const { return members[states[state].first] == emptyStack; }
    /** Nothing may follow. */
    bool isOver(int32_t state) const { return states[state].count == 1 && isComplete(state); }
    /** The same state here as in another automaton over the same rules. */
    int32_t adopt(const GrammarAutomaton& other, int32_t state);

    /** Call it before each piece of work: what that may take is bounded, and GrammarError is thrown beyond. */
    void beginWork() { work = 0; }
    /** Stacks that were looked at since then. */
    uint32_t steps() const { return work; }
    size_t sizeBytes() const;

    /** Unlike any other automaton's of this process. */
    const uint64_t id;

private:
    static constexpr uint32_t emptyStack = 0;
    static constexpr int32_t unknown = -2;

    struct Stack {
        uint32_t position;
        uint32_t below;
    };
    struct State {
        uint32_t first;
        uint32_t count;
    };

    uint32_t push(uint32_t position, uint32_t below);
    /** Adds to `found` the stacks that a stack becomes when its rules are opened until characters are on top. */
    void open(uint32_t stack);
    int32_t intern();
    void countStep() { countSteps(1); }
    void countSteps(uint32_t steps);
    void checkSize() const;

    const GrammarRules& rules;
    /** The first is the empty one. */
    std::vector<Stack> stacks;
    std::unordered_map<uint64_t, uint32_t> stackIds;
    std::vector<State> states;
    /** Stacks of all states, ascending within each. */
    std::vector<uint32_t> members;
    std::unordered_multimap<uint64_t, int32_t> stateIds;
    /** By state and class, where the classes are few. */
    std::vector<int32_t> table;
    std::unordered_map<uint64_t, int32_t> sparseTable;

    uint32_t work = 0;
    std::vector<uint32_t> todo;
    std::vector<uint32_t> found;
    /** By stack: the round in which it was opened last. */
    std::vector<uint32_t> opened;
    uint32_t round = 0;
};
