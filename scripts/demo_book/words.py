"""What buyers say, criterion by criterion: for it, and against it.

`{date}` is a day some weeks on, `{price}` the price on the table, `{seller}` the seller's first
name.
"""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    supports: tuple[str, ...]
    contradicts: tuple[str, ...]


QUOTES = {
    "discovery_meeting_scheduled": Words(
        (
            "I have put an hour in for {date} and asked two of my planners to join.",
            "Let us talk properly. I sent you an invitation for {date}.",
            "You will find me in the diary on {date}; bring somebody who knows yards.",
        ),
        ("I have to cancel the discovery call, and I do not have another day for you yet.",),
    ),
    "symptom_in_their_words": Words(
        (
            "We lose a truck every Tuesday and nobody can tell me where it went.",
            "Half my planners' day goes into phoning drivers.",
            "We pay for empty kilometres, I just cannot see how many.",
        ),
        ("It was one bad week, it has sorted itself out.",),
    ),
    "demonstration_next_step": Words(
        (
            "That was our own route plan you showed. Let us do the workshop on {date}.",
            "Good. On {date} I want the night shift to see the same thing.",
            "I saw what I needed; next is a session with our data, {date}.",
        ),
        ("Most of us had to leave after ten minutes. I cannot say what comes next.",),
    ),
    "technical_teams_next_step": Words(
        (
            "Our interface people are content. They get the test access from you by {date}.",
            "Your architect answered all eleven questions; security review is on {date}.",
            "We agreed that we send a week of anonymous orders and you load them by {date}.",
        ),
        ("IT will not look at another system before the freeze is over.",),
    ),
    "cost_of_doing_nothing": Words(
        (
            "It is about forty thousand a month in detention fees, I had it added up.",
            "If we leave it as it is, we need two more planners by spring.",
        ),
        ("Honestly, we can live with it as it is.",),
    ),
    "everyone_affected_confirmed": Words(
        (
            "Planning, dispatch, the customs desk and finance. That is everybody, I checked.",
            "You have met them all now except the works council, and I talk to them on {date}.",
            "Add the depot in the north, then the list is complete.",
        ),
        ("There is a whole department at the other site that I had not thought of.",),
    ),
    "champion_committed": Words(
        (
            "I have told my board that I will answer for this project with my name.",
            "I moved my own budget for training to make room for it.",
            "I took it to the steering group on my own, and they want to see it again.",
        ),
        ("I have other fires to put out. Somebody else may pick it up.",),
    ),
    "fit_confirmed": Words(
        (
            "Of our thirty-one requirements you meet twenty-nine, and the two can wait.",
            "It does what we asked for. I signed the comparison sheet.",
            "The test with last month's orders came out right to the pallet.",
        ),
        ("It cannot do multi-day tours, and for us that is half the business.",),
    ),
    "solution_cocreated": Words(
        (
            "We drew the yard process on your board, and I recognise my own arrows in the plan.",
            "My team wrote chapter three of the concept. You only had to correct the names.",
            "The wave rule was our idea. I am glad that it is in there now.",
        ),
        ("That concept is yours, not ours. My people do not see themselves in it.",),
    ),
    "problem_next_step": Words(
        (
            "Then let us sit down with finance on {date}.",
            "Next is the cost review; I have invited everyone for {date}.",
        ),
        ("I will come back to you when things are quieter.",),
    ),
    "options_compared": Words(
        (
            "We also look at building it ourselves and at one other supplier.",
            "The alternative is to hire, and to wait a year.",
        ),
        ("We have a preferred supplier already. You are the second offer.",),
    ),
    "deadline_is_theirs": Words(
        (
            "The contract with our carrier ends on {date}. By then it has to run.",
            "Peak season starts on {date}; after that nobody touches anything.",
        ),
        ("There is no date. It will be done when it is done.",),
    ),
    "budget_price_confirmed": Words(
        (
            "{price} works. It comes out of the operations budget; on {date} we talk terms.",
            "I have set {price} aside for this year. Let us fix the payment plan by {date}.",
            "The price is within what we expected. Send the plan, we meet on {date}.",
        ),
        (
            "The budget is frozen until the new year, for everybody.",
            "{price} is twice what I had in mind.",
        ),
    ),
    "authority_saw_price": Words(
        (
            "I have read your offer of {price}, page by page.",
            "Yes, I know the figure. {price}. It is on my desk.",
            "I saw the price on Monday, and I have two questions about year two.",
        ),
        (
            "She has not seen any figure yet, and please do not send her one.",
            "I have not taken the price upstairs yet.",
            "Our COO does not know what this costs. I wait for a good moment.",
        ),
    ),
    "resources_named": Words(
        (
            "Two planners and one from IT, three weeks from {date}.",
            "I have freed a project lead from {date} on.",
        ),
        ("I do not have one person to spare before summer.",),
    ),
    "yes_or_no_agreed": Words(
        (
            "You get a clear answer by {date}. It may be a no.",
            "We will decide in the meeting on {date}: yes or no, and I tell you the same day.",
        ),
        ("I cannot promise you an answer at all.",),
    ),
    "deployment_plan_approved": Words(
        (
            "I have approved the plan that your people and mine made. First site on {date}.",
            "The roll-out plan is good. I signed it off; kick-off stays on {date}.",
        ),
        ("The plan assumes a team that I do not have. I will not approve it.",),
    ),
    "decision_steps_named": Words(
        (
            "Finance on Tuesday, legal the week after, the board on {date}, then I sign.",
            "There are three steps left: security, works council, signature by {date}.",
        ),
        ("I thought I knew how we decide, but the holding has changed the rules.",),
    ),
    "blocker_heard": Words(
        (
            "I was against it. If the night shift keeps its own view, I can live with it.",
            "My worry is the data. Show me where it is kept, and I will not stand in the way.",
        ),
        ("As long as I am here, we do not change the system of the night shift.",),
    ),
    "paper_process_known": Words(
        (
            "Legal needs ten working days, and we use our own data agreement.",
            "Supplier approval takes until {date}. I have started it.",
        ),
        ("Procurement wants three offers now. That starts everything again.",),
    ),
    "executive_verbal_commitment": Words(
        (
            "We will do business with you. {seller} can start to plan.",
            "You have my word: we do this, and we do it with you.",
        ),
        ("I said that I like it. I did not say that we buy it.",),
    ),
    "contract_received_signing_date": Words(
        (
            "The contract is here. It goes into the signing folder for {date}.",
            "I have the papers; expect the signature by {date}.",
        ),
        ("The contract is with legal, and I cannot give you a date.",),
    ),
    "handover_done": Words(
        (
            "I met your delivery lead today. Two interfaces are open, the rest is clear.",
            "The hand-over went well; nobody had to ask us the same thing twice.",
        ),
        ("Your project team knew nothing of what we had agreed.",),
    ),
    "paperwork_complete": Words(
        (
            "Order form, data agreement and appendix B are complete on our side.",
            "All signed and filed, I checked it with your back office.",
        ),
        ("Appendix B is still missing a signature.",),
    ),
    "review_scheduled": Words(
        (
            "The first review is on {date}. Our COO comes too.",
            "I have put the quarterly review in for {date}.",
        ),
        ("We do not see the need for a review.",),
    ),
    "referral_asked": Words(
        (
            "Ask me again after the first full month, then I will call my colleague.",
            "I know somebody with the same trouble. Let me talk to her first.",
        ),
        ("I would rather not recommend anybody at the moment.",),
    ),
    "testimonial_given": Words(
        (
            "You may quote me: we found eleven per cent of our kilometres were empty.",
            "Write that our planners go home on time. That is worth more than the saving.",
        ),
        ("Our press office does not allow testimonials.",),
    ),
    "introductions_made": Words(
        (
            "I have put you in touch with our sister company's head of transport.",
            "You have a mail from me with two names, in copy.",
        ),
        ("I said I would introduce you, but I cannot now.",),
    ),
}

REGRESSED = (
    "A new operations chief wants to look at the problem again from the start.",
    "The holding has stopped all projects above its limit until the review is over.",
    "The other site was left out, and now asks for its own analysis.",
    "A competitor's offer made them ask what they really need.",
)
LOOPED = (
    "Back to comparing: procurement has asked for two more offers.",
    "After the merger the people who decide are others; they begin with the investment again.",
    "The pilot raised new questions; the technical people go through fit once more.",
)
ADVANCED = (
    "They asked for the next meeting themselves.",
    "They sent their own agenda for the next phase.",
)
WAIVED = (
    "Existing customer: the technical side knows us from the first contract.",
    "They renew on the running plan; the step was done in last year's project.",
    "The group's head office has done this check for all its companies.",
)
HAIRCUTS = (
    "I always cut this one by that much.",
    "The last three quarters came in below the call.",
    "Too much of it closes in the last week.",
)
OVERRIDES = (
    "Two of the big ones have no signature date. I take them out.",
    "I spoke to the customer myself; I put the renewal in.",
    "Holiday week: nothing large will be signed before the quarter is over.",
)
NO_ANSWER = (
    "Nobody could say who has seen the price.",
    "We believe so, but no one has heard it from them.",
    "Not asked yet.",
    "The last word on this is months old.",
)
FINDINGS = {
    "won": (
        "The person who could sign was in the second meeting. Everything later was quick.",
        "They wrote part of the concept themselves, and defended it inside.",
    ),
    "lost": (
        "We learnt of the other supplier only when the offer was out.",
        "The technical people never met. The objection came from there, at the end.",
    ),
    "no_decision": (
        "Nobody had asked what happens if they do nothing. Nothing happened.",
        "The one who could sign had not seen a price until the week we called it commit.",
        "Our contact left, and we found out from the bounced mail.",
    ),
}
LESSONS = (
    "Ask in the second call who else has to agree.",
    "No category above pipeline before the price was heard by the one who pays.",
    "Look at what has gone stale before each call, not after the quarter.",
)
LOSS_REASONS = {
    "lost": ("Competitor chosen", "Price", "Missing function"),
    "no_decision": ("No decision", "Budget frozen", "Project stopped", "Contact left"),
}
