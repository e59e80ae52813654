site-name = Report spam and scams
skip = Skip to the main part
languages = Languages
more = Other pages
yes = Yes
link-start = To the first page
link-report = Send a report
link-track = Follow a report
link-respond = My number was reported
link-guide = How to recognise it and what to do
footer-privacy = Your number and what you write are encrypted; only the authority can open them. One cookie keeps your pages to this browser for some hours; nothing follows you.

time-minutes = { $count ->
    [one] { $count } minute
   *[other] { $count } minutes
}
time-hours = { $count ->
    [one] { $count } hour
   *[other] { $count } hours
}

form-title = Report spam or scam messages and calls
form-lead = It takes about a minute. You need your phone to receive a code.
form-send = Send me a code
form-by-sms = You would rather not fill this in? You can report by SMS to { $number }, free of charge.
form-lawful = Report false news only when it states something untrue that does harm. Opinion, criticism and satire are not reportable.

label-sender = Who texted or called?
hint-sender = As your phone shows it: a number, a short code or a name. No number shown? Write “hidden”. You may leave it empty when the number stands in the message below.
offered = Numbers in the message you pasted. Is it one of these?
label-channel = It was
channel-sms = A text message
channel-call = A call
label-category = What was it?
category-spam = Unwanted advertising
category-spam-hint = I did not agree to receive it.
category-scam = A scam
category-scam-hint = Somebody pretends, asks for money, a code or a password.
category-fake_news = False news
category-fake_news-hint = An untrue claim that harms people.
label-harm = If it was false news: what is harmed?
harm-none = It was no false news
harm-health = Health, epidemics, food
harm-disaster = Disasters, evacuation
harm-finance = Banks, money, prices
harm-impersonated_authority = It pretends to come from an authority
harm-other = Something else
label-content = What it said
hint-content = Paste the whole message, or write what the caller said. For a call you may leave it empty.
label-link = Link in the message
label-occurred-at = When?
hint-occurred-at = Within the last 30 days. Leave it empty when it was just now.
label-reporter = Your mobile number
hint-reporter = We send a code to it. Whom you report does not learn who you are.
label-money = Money was lost

money-question = Did you lose money, or give away a code or a password?
money-lost = I lost money through this
money-now = Call at once, before anything else:
money-bank = Your bank: the number on the back of your card or in its app. Ask to block the account and hold the payment.
money-keep = Keep the messages, numbers and account numbers. Pay no fee to anyone who promises to get your money back.

error-prefix = Error:
error-summary = Please mend these
error-form-expired = This page was open too long. What you wrote is still here; please send it again.
error-unknown = Something here is not right; please look again.
error-channel = Choose: a text message or a call.
error-category = Choose: advertising, a scam or false news.
error-choose = Please choose one.
error-sender-empty = Write the number or name that texted or called you, or “hidden” when your phone showed none.
error-sender = Write the sender as your phone shows it, with at most 64 characters.
error-number-empty = Write your mobile number.
error-number = This number is not right. It is written as 0 and nine digits.
error-number-letter = There is a letter in the number: perhaps an O for a 0, or an l for a 1.
error-number-extension = Please leave out the extension.
error-number-renumbered = This is one of the old numbers of 11 digits. Please write today's, with 10 digits.
error-number-foreign = Only Vietnamese mobile numbers receive codes.
error-number-not-mobile = A Vietnamese mobile number is needed to receive the code.
error-content-missing = Paste what the message said.
error-content-too-long = That is too long: 4,000 characters at most. Please keep the main part.
error-invalid-time = Write day and time as 24/11/2026 15:00.
error-in-future = That time has not come yet. Please check day and time.
error-too-long-ago = Only what happened within the last 30 days is taken.

understood-number = The number { $value }
understood-short-code = The short code { $value }
understood-brandname = The name “{ $value }”
understood-malformed = “{ $value }” – no valid number, kept as you wrote it
understood-hidden = No number shown

code-title = Enter the code
code-sent = A code of 6 digits was sent to { $number }. It is good for 10 minutes, once.
code-was-sent = Enter the 6 digits of the newest message sent to { $number }.
label-code = Code of 6 digits
hint-code = Give this code to nobody, not even to somebody who says they are an official.
code-submit = Confirm
code-again = Send another code
code-change = Change the report
code-understood = This is how we understand your report
code-wrong = The code is not right. Please look at the newest message.
code-not-by-network = Your mobile network could not confirm this number. Please use the code from the SMS.
code-later = This cannot be checked at the moment. Nothing is lost: please try again in a minute.
code-expired = The code has run out or was used. Press “Send another code”.
code-too-many = Too many wrong codes. Try again in { $time }.
code-unavailable = No code can be sent or checked at the moment. Nothing was taken yet. Please come back in { $time }.
draft-expired-title = This page cannot be used any more
draft-expired = More than 15 minutes have passed. The report was not sent, and is kept nowhere. Please fill it in again; it takes a minute.
draft-not-here = It opens in the browser alone in which it was begun, and not for long. If you did not fill in a report yourself, somebody has sent you this address: do not enter any code. Else please fill it in again; it takes a minute.

by-sms-title = Confirm by an SMS of yours
network-lead = Is this phone on mobile data with that number? Then your network can confirm it at once, without a code. It learns that you use this page, not what you wrote.
network-go = Confirm by the mobile network
by-sms-lead = No code can be sent at the moment (again in { $time }). You can confirm at once the other way, free of charge:
by-sms-missing = Your message has not come yet. It mostly takes less than a minute. Please wait a little and press again.
by-sms-text = Text to { $number }:
by-sms-from = From the number { $number }.
by-sms-open = Open your messages
by-sms-code = I have got a code
by-sms-then = When it is sent, wait a moment and press the button below.
by-sms-submit = Continue

again-title = Not stored yet
again-lead = Your number is confirmed, but the system is busy, so nothing is stored yet. Wait some seconds and press the button; no new code is needed.
again-submit = Send again

report-over-quota = This number has sent as many reports as one may in a day. This one was not taken yet. Leave this page open and press the button in { $time }; no new code is needed.
already-title = This report was sent already
already = This form was sent before with another content. To report something else, open a new form.
later-title = Please come back later
problem-title = Something is not right
problem-too-many = Too often in a short time. Please try again in some minutes.
problem-unavailable = The system is busy; nothing was taken. Please try again in some minutes.
problem-no-page = There is no such page.
problem-broken = What was sent cannot be read. Please open the page anew and try again.
closed-lead = This page cannot send codes at the moment. You can report all the same, free of charge, by SMS to { $number }:
closed-spam-sms = Spam SMS: S (number)(what it said)
closed-spam-call = Spam call: V (number)(what it said)
closed-scam-call = Scam call: LD (number)(what it said)

receipt-title = Your report was taken
receipt-code = Receipt code:
receipt-taken = Taken at { $time }.
receipt-repeat = You reported the same within the last 24 hours, so it is not counted once more.
receipt-keep = Write it down, take a picture or print this page. The code and the last four digits of your number show what became of it.
receipt-copy = Copy the code
receipt-copied = Copied.
receipt-share = Share
receipt-print = Print
receipt-next = What happens next
receipt-next-counted = Within minutes your report is put together with those of others about the same sender.
receipt-next-reviewed = A person at the authority looks at it, mostly within { $days ->
    [one] { $days } day
   *[other] { $days } days
}. Nobody is blocked by a number of reports alone.
receipt-next-told = The outcome stands on the page to follow a report.
receipt-guide = What should I do now?
receipt-another = Send another report

track-title = Follow a report
track-lead = Enter the receipt code and the last four digits of the number that reported.
track-submit = Show what became of it
track-form-fault = Enter the receipt code of 12 characters and the last four digits.
track-not-found = No report has this code and these digits, or it was withdrawn. Please check each character. After many wrong digits a code stays closed for a day.
tried-too-often = Tried too often. Try again in { $time }.
tries-uncounted = This cannot be done at the moment. Please come back in { $time }.
label-receipt = Receipt code
hint-receipt = It stands on the page of the receipt, or in the SMS you got.
label-digits = Last four digits of your number
label-taken = Taken at
label-decided = Decided at
label-status = Where it stands

status-title = Your report
status-accepted = Taken; it is being put into a case.
status-open = In a case, which waits for a person at the authority.
status-repeat = You said the same within 24 hours before; the first report counts.
status-figures = Counted in the general figures. Without a sender and a text there is no case of its own.
status-conflict = Another report has the same id; the first one counts.
status-upheld = Decided: the reports are right.
status-dismissed = Decided: nothing is done against the sender.
reason-violation = The sender broke a rule.
reason-lawful_expression = It was opinion, criticism or satire, which breaks no rule.
reason-not_proven = It could not be shown.
reason-wrong_sender = The number was forged, or somebody else was meant.
reason-consented = Its recipients had agreed to it.
reason-other = For another reason.

withdraw-title = Withdraw this report
withdraw-lead = What you wrote and your number are then deleted, and the report counts no more. This cannot be undone. We send a code to your number, to be sure that it is you.
withdraw-submit = Send a code to withdraw it
withdraw-no-code = No code can be sent to this number.
withdraw-number-fault = That is not the number that sent this report.
withdrawn-title = Your withdrawal is taken
withdrawn = If the report came from this number, it counts no more: what you wrote and your number are deleted from the system within minutes.
code-full = As many codes as one may were sent to this number or asked for from your network. Try again in { $time }.

respond-title = My number was reported
respond-lead = If you hold a reported number you can see how many people reported it and for what, and answer once. You do not see who, nor what they wrote.
respond-closed = This page cannot send codes at the moment. Please come back later.
label-own-number = Your mobile number
hint-own-number = We send a code to it, to know that you hold it.
reported-title = What is reported about your number
reported-none = There is no case about { $number }.
reported-lead = Cases about { $number }:
label-voices = People who reported
label-first = First day
label-last = Last day
case-open = Waits to be looked at
case-upheld = Decided: the reports are right
case-dismissed = Decided: nothing is done
label-response = Your answer
hint-response = At most 2,000 characters, once. Whoever looks at the case reads it.
response-submit = Send the answer
response-stored = Your answer stands in the case.
response-there = Your answer stands in the case.
response-empty = Please write an answer.
response-too-long = The answer is too long: 2,000 characters at most.

problem-too-large = The file is too large and was not taken. A file may have 5 MB.
evidence-title = Add evidence (if you have any)
label-evidence = Pictures of the screen, recordings, documents
hint-evidence = At most 3 files of 5 MB each: jpg, png, mp3, amr, mp4, pdf. What hides in pictures, such as where they were taken, is removed. Files are encrypted as your report is.
evidence-send = Send the files
evidence-kept = { $count ->
    [one] { $count } file was taken.
   *[other] { $count } files were taken.
}
evidence-none = Choose at least one file.
evidence-kind = A file is of another kind and was not taken: only jpg, png, mp3, amr, mp4 and pdf are.
evidence-too-large = A file has more than 5 MB and was not taken.
evidence-too-many = A report has at most 3 files; the others were not taken.
evidence-busy = Files are being sent just now. Please go back and send yours again in { $time }.
evidence-not-all = Not all files could be stored. Please send them again; none is kept twice.
evidence-gone = This report is no longer there, so no file can be added.
