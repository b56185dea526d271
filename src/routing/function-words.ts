// Common words by which a short text gives away its language: data only. A word may stand in several languages; only
// what they do not share tells them apart. Spanish is listed without accents, as people type it. Imports nothing.

/** Languages that every expert answers. */
export const servedLanguages: Readonly<Record<string, string>> = {
  en: `a about above after again against ago ain't all almost already also always am an and angry another any anyone
    anything are aren't around as ask at away awesome baby back bad be because been before being best better between big
    bit bored both boss bring but buy by bye call can can't change come could couldn't cool correct create day days
    dead deal dear did didn't die different do does doesn't doing don't done down each easy end enough even ever every
    everyone everything example explain feel few find fine first five for four friend friends from fun funny gave get
    give go going gone gonna good got great guy had happy hard has hasn't hat have haven't he he's hello help her here
    hey hi him his home hope hot how how's i i'd i'll i'm i've idea if in into is isn't it it's its joke just keep kind
    know last later least leave left less let let's like list little live long look lot love made make man many may
    maybe me mean men might mine more most much must my name need never new next nice no nobody none not nothing now of
    off often oh ok okay old on once one only open or other our out over own part people place please pour put quite
    rather read really right said same say see sent set shall she short should show since small so some someone
    something sometimes soon sorry still stop story such sure take talk tell text than thank thanks that that's the
    their them then there there's these they they're thing things think this those three time times tired to today told
    tomorrow too true try turn two under until up us use used using very want war was way we we'll we're well went were
    what what's when where where's which while who who's whom whose why wife will wish with without won't word words
    work working would write wrong yeah year years yes yesterday yet you you'd you'll you're you've young your yours
    alarm fax pet legs trip son sum date mail come die male sale fare cause pain note verb rest mine sole pace
    per merge vs via top sort list print question questions problem port page image photo instance array class content
    comment comments nation action public son tour route style table simple possible important grand final original
    water hand land wind west book school film arm oil formula point music name winter warm week land music idea normal`,
  es: `a abajo acerca actualmente adios ahi ahora al algo alguien algun alguna algunas alguno algunos alla alli amigo
    amigos amo amor ante antes anos ano aqui arriba asi aun aunque ayer ayuda ayudame bastante bien buen buena buenas
    bueno buenos busco cada casa casi cierto claro como con conmigo contigo contra creo cual cuales cualquier cuando
    cuanta cuantas cuanto cuantos cuesta cuyo da dame das de debe debemos debo decir deja del desde despues dia dias dice
    dicen dicho dijo dime dinero dios donde dos durante e el ella ellas ellos en encima encontrar encuentra entonces
    entre era eran eras eres es esa esas escribe ese eso esos esta estaba estamos estan estar estas este esto estos
    estoy estado existe explica fin fue fueron fui gente gracias gran grande gusta gustan gustaria ha haber había habia
    hablar hablas hace hacen hacer haces hacia haciendo hago han has hasta hay haz he hecho hemos hermano hermana hijo
    hijos hola hombre hora horas hoy iba igual ir jamas junto la las le les lo los luego lugar mal mama manana mas me
    mejor mejores menos mi mia mientras mio mis misma mismo momento mucha muchas mucho muchos mujer mujeres mundo muy
    nada nadie necesito ni ningun ninguna ninguno no noche nombre nos nosotros nuestra nuestro nueva nuevo nunca o oye
    otra otras otro otros padre pais paises papa para parece parte pasa pasar pasado peor pero persona personas poco
    podemos podria podrias pone poner por porque porfa pq primer primera primero pues puede pueden puedes puedo q que
    quien quienes quiere quieres quiero quisiera realmente sabe saber sabes se sea segun ser si sido siempre siendo sin
    sino sobre sois solo somos son soy su sus suya suyo tal tambien tampoco tan tanto tarde te tener tenemos tenia tengo
    ti tiempo tiene tienen tienes toda todas todavia todo todos trabajo tras tres tu tus tuya tuyo u un una unas uno unos
    usar usas usted ustedes va vale vamos van vas vaya ve veces ver verdad vez vida viene vivir vosotros voy vuestra
    vuestro xq y ya yo traduce traduccion tio tia tonto tonta amable chiste cumpleanos alegre feliz triste aburrido
    cansado suelo cabo salir comer dormir hambre guapo guapa porfi mande favor`,
};

/** Languages in Latin script that go to the multilingual expert. */
export const otherLanguages: Readonly<Record<string, string>> = {
  fr: `à aime ai ainsi aller alors amis ami année années ans après as assez au aucun aujourd'hui aurais aussi autre
    autres aux avais avait avant avec avez avoir beau beaucoup besoin bien bientôt bon bonjour bonne bonsoir boire c'
    ça car ce cela celle celui ces cet cette ceux chaque chez chose choses chanter combien comme comment connais content
    contre côté crois d' dans de déjà demain depuis des deux devrais dire dis dit dois donc donne du elle elles en encore
    enfant enfants entre es est et étaient était êtes être été eu eux faire fais fait faut femme fille fois fut gens
    grand heure heures heureux hier homme ici il ils j' jamais je jour jours jusqu' l' la là laquelle le lequel les leur
    leurs lui m' ma maintenant mais maison manger mes mieux moi moins mon monde mort n' ne ni nom nos notre nous nouveau
    on ont ou où oui par parce parle parler parles passe pas pendant penses peu peut peux plaît plus plusieurs poids
    pour pourquoi pourrait pouvez premier première près prix puis qu' qu'est quand que quel quelle quelles quelque quels
    qui quoi reste rien s' sa sais sait salut sans savoir se semaine sera ses si soir soit son sont sous suis sur t' ta
    te temps tes toi ton toujours tous tout toute toutes très triste trois trop trouver tu un une va vais vas vers veut
    veux vie viens ville voir vois vont vos votre voudrais vous voyage vrai vraiment y raconte blague merci moteur écris
    rédige explique traduis mot dix ris drôle fatigué ennuie
    jouer joue raconter chanson créateur sympa joyeux joyeuse souhaite ennuyeux ennuyeuse ennuies marrant seul seule sens penser penses pense mignon mignonne nuit dormir dort fatiguée content contente heureuse peur faim soif argent chien chat blagues désolé désolée vas-y tais sortir aimes adore déteste parfait super mec meuf copain copine dehors rire pote jolie joli drôles question pose répondre réponse histoire ami t'aime rigoler plaisanterie pleure dommage plait combien âge mère père frère soeur sœur travail travailles bizarre stupide bête idiot matin soirée bises bisous coucou quoi voilà allez viens-tu donne-moi quelques vers chacune tante oncle litres coûte mange achète vend`,
  de: `aber alle allem allen aller alles als also am an andere anderen auch auf aus bei beim bin bis bist bitte brauche
    da damit danke dann darf das dass dein deine deinen dem den denkst denn der des deutsch dich die dies diese diesem
    diesen dieser dieses dir doch dort drei du durch ein eine einem einen einer eines einfach er erste erzähl es etwas
    euch fragen freund für ganz geben gegen gehen geht gern gerne gesagt gestern gib gibt glücklich groß gut gute guten
    hab habe haben habt hallo hast hat hatte heißt heute hier ich ihm ihn ihnen ihr ihre im immer in ist ja jahr jahre
    jahren jemand jetzt kann kannst kein keine kennst klein kommen kommt können könnte langweilig leben liebe liebst mach
    machen machst macht magst mal man mehr mein meine meinen mensch menschen mich mir mit möchte morgen muss müde müssen
    nach nacht name nein nicht nichts nie noch nun nur oder ohne pro sag sagen schon schreibe schön sehr sein seine
    seinem seinen seit sich sie siehst sind so soll sollte sondern spät tag tage tschüss tun über uhr um und uns unser
    unter vater viel viele vom von vor wann war waren warum was weiß welche welchem welchen welcher welches wenn wer
    werde werden wie wieder wieviel will willst wir wird wirst witz wo woche woher wohin wollen worden wurde wurden
    während zeit zu zum zur zwei zwischen übersetze erkläre hunger traurig
    mag hunde gehe denke denken denkt arbeitest arbeiten arbeit glaube glaubst freue freut lustig geil doof dumm hör halt klappe langweile langweilst fühle fühlst geht's wär wäre hätte gerade kommst kennt lustiges tolle toll super frag frage fragst meinung findet finde rede reden redest schlafe schlafen essen trinken trinkt müde bald spaß blöd hässlich schlau klug echt wirklich wahr richtig falsch egal bisschen hilfe hilf freundin mutter bruder schwester familie hund katze geburtstag alt arbeitet lachen lach singen sing lied spielen spielst magst hasse liebt tut leid entschuldigung verstehe verstehst weißt passiert passierte wetter kaffee abend`,
  it: `abbastanza adesso ai al alla alle allora altra altri altro amo amore anche ancora andare anni anno avere aveva
    bella bello bene buon buona buono barzelletta c' casa che chi ci ciao cinque come con cosa cose così cui d' da dai
    dal dalla davvero degli dei del della delle dell' detto devi devo di dice dimmi dire domani donna dopo dov' dove
    dovrei due e è ed era erano essere facciamo fa fai fammi fare fatto felice fino forse fra fu gente già giorni giorno
    gli grande grazie ha hai hanno ho i ieri il in invece io l' la lavoro le lei lo loro ma mai male mangiare me meglio
    mi mia mie miei migliore mio molti molto mondo n' ne nei nel nella nell' nelle niente noi nome non nostra nostro o
    oggi ogni ora ore parlare parli parola pensi per perché però persone più piace piacere poi posso può prima primo
    proprio puoi qual quale quali qualche qualcosa qualcuno quando quanta quante quanti quanto quella quelli quello questa
    queste questi questo qui quindi sai sapere scrivi se sei sembra sempre senza sera si sia siamo siete so solo sono
    sopra sta stai stanco stato stata sto su sua subito sul sulla suo suoi tempo ti tra tre triste troppo tu tua tue tuo
    tutta tutti tutto un una uno va vado vai vedere vero viene vita vive voglio voi volta volte vorrei vuoi augurare
    spiega traduci buonanotte buongiorno buonasera
    piacciono amica cantare canzone riesci raccontare racconta stanca innamorata innamorato divertente brutto brutta stupido stupida simpatico simpatica ringraziare ragazzo ragazza capito vattene zitto zitta ridere annoiato annoiata annoio noia simpaticissimo bellissimo bellissima bravo brava carino carina fame sete sonno dormire dormo letto parli mamma padre madre fratello sorella famiglia cane gatto ridicolo odio odi adoro vorresti dovresti possiamo faccio facevi andiamo esci uscire giocare gioco lavori lavorare penso credi credo ricordi sicuro sicura scusa scusami dispiace peccato certo esatto felici divertirsi schifo nulla cena pranzo quest'anno canta suona sentito mancanza domande risposta rispondi chiedere chiedo aiuto aiutami auguri compleanno`,
  pt: `a agora ainda além alguém algo algum alguma ali amanhã amigo ano anos antes ao aos apenas aqui as às assim até
    boa bom cada cadê casa chama chegou com como contra da dá das de dele dela deles depois desde dessa desse desta deste
    deve dia dias disse diz diga dizer do dois dois dos e é ela elas ele eles em encontrar então entre era eram escreva
    essa esse esta está estão estar estava este estou eu existe explique faça falar faz fazer ficar foi fora foram gente
    gosta gostaria gosto há hoje homem hora horas houve isso isto já lhe logo lugar mais mal mas me melhor menos mesmo
    meu meus minha minhas muita muitas muito muitos mulher mundo na nada não nas nem nenhum nessa nesta neste no noite
    nome nos nós nossa nosso nova novo num numa nunca o obrigada obrigado oi olá onde ontem os ou outra outro outros para
    pela pelas pelo pelos pessoa pessoas pode podem poderia podia por porque pouco posso precisa preciso primeira
    primeiro qual quais qualquer quando quanta quantas quanto quantos que quem quer quero saber são se seja sem sempre
    ser será seu seus sim sobre sou sua suas também tarde tão tchau te tem têm temos tempo tenho ter teve tinha todas
    todo todos trabalho três tu tua tudo um uma umas uns vai vamos você vocês vou vez vezes vida viver voltar dormir
    traduza cansado feliz tradução brincadeira piada
    vir nossas ouvimos podes perto fica estrangeiro cedo pernas planeja irmã irmão pai mãe cachorro gato comer beber bonito bonita engraçado chato entender entendo desculpe preciso ajuda aconteceu acontece fazendo falando vivo mora moram leva levar trouxe sou pôr apesar cada ninguém algum receber dado`,
  ca: `a això aixi així al algú alguna als altra altre altres amb amic ans any anys aquell aquella aquest aquesta aquests
    ara avui bé bon bona cada cal cap casa com coses cosa d' de del dels després dia dies diu dir diuen doncs dos durant
    el ell ella ells els em en encara ens entre era eren és són es esta està estan estic estem estava et ets fa fan fas
    fer fet fins fos gent gràcies gran ha hagi han has havia he hem hi ho home hora hores jo ja l' la les li llavors lloc
    ls m' major massa matí mateix meva meu menys més mai millor món molt molta molts n' ni nit no nom només nostra nostre
    nou o on parla passa pel per perquè però persona persones poc pot poden podem podria pots primer qual quan quant
    quants qualsevol que què quin quina quines quins qui s' sap saps segons sempre sense ser set seu seva seves si sigui
    sobre sol som sóc són t' també tan tant té tenen tenir tens teu teva tinc tot tota tothom tots totes tres trobar tu
    un una uns us va vaig van veritat vida viu vol vols volia vull dona dones explica escriu tradueix adéu
    nova nóvia noia noi conduir escoltant parella nombres reals consisteix cert passa diferència hivern ciutat encara bonic maca maco mare pare germà germana menjar beure treballar feina estimo estima ajuda ajudar persones gats gossos concert sud-coreans cristians us nosaltres vosaltres aquells aquelles teua seua seves teves cosa altres cada curar mans trepitges terra recordem llegim mentides imaginar podeu haver deixa viuen legal només ningú dimonis podríem sovint`,
  gl: `a ademais aínda agora algo alguén alí ao aos aquí así até ata ben bo boa cada cal cales calquera cando canta cantas
    canto cantos coa coas co con cos cousa cousas da das de dende desde despois di día días din dixo do dos dúas e é ela
    eles el en entre era eran es está están estaba este esta estou eu facer fai fan fixo foi foron fun gustaría ha hai
    home hoxe iso isto la lle lles lugar mais máis maior mal me mellor meu miña mesmo moi moita moitas moito moitos mundo
    na nada nas nin ningún no noite nome non nos nosa noso novo nun nunha nunca o onde ou outra outro os para pasa pasou
    persoa persoas pode poden podes podo por porque pola polas polo polos que quen queres quero realmente sabe saben sen
    sempre ser será seu seus si sobre son súa súas se tamén tan ten teñen teño tes tempo ti todo todos tres tu un unha
    unhas uns vai van veces ver verdade vida vivir xa xente xunto grazas ola obrigado
    vento cidade cidades país países irmás cor cores auga aire obrigado avogado cantidade comezou capitalización actual tiñan poderes dis espello diante guerra final seguen tiveron nomeada poboación gran chámase fan fas vas deus dúas tres catro cinco escola traballo comer beber morrer morreu nacer naceu gustache gústache crees sabes cren dixeron quere di afirma xurásico`,
  ro: `a acea această acest aceasta acum ai aia al ale altă am anul apoi ar are aș așa asta atunci au avea avut bine bună
    câți cât când care căror ca că ce cea cel cele cineva cine cu cum da dacă de deci degeaba despre din doar două după
    ea ei el este eu exista există face fac fi fie fiind fost frumos în îmi își îți la le li lor lui lucru mai mare mea
    meu mi mie mine mult multe mulțumesc nici nimic noastră noi nostru nu numai numele o oameni ori pe pentru poate pot
    prin prima sa să salut săi sale sau se si și spune știu sub sunt sus ta tale te timp timpul toate tot toți trebuie
    tu un una unde unei unor unui urma va vă vei vom vor vreau zi zile
    el mi-a m-am s-a și-a chiar urechi dintre una vrea vreau vrei merge mergem fac faci casă copii apă mâncare lucru timp îl îmi mă dumneavoastră foarte acolo aici câteva între sub acest acesta aceasta ceva altul alți`,
  eu: `aldiz arte asko bai baino bakarrik baldin bana barik bat batean baten batzuk bere berri berriz beste bezala bi bizi
    da dago dagoen dakit daude den dela dezake dezaket di dio dira diren ditu du duela duen dut dute dutela duzu egin
    egiten ere eskerrik eta etxe ez ezin gehiago gero gertatzen gizon gu haiek handi hau hauek hemen hiru hori horrek
    ikusi izan izango izen izena ja jende joan kaixo ko lan nahi naiz nik nire no nola nola non nondik nor nork nuen ona
    onena orain oso pertsona urte urtean zaude zein zen zenbat zer zera zergatik ziren zuen zuk zure zuten
    egia zenbaki guztiak jendea bihur daiteke daitezke txar txarra amets hil herri herrialde munduko gizakiak umeak gauza gauzak noiz gabe kide santu zela zuela diezu dioen duzun dudan dituzu ditut gara zarete zara naute`,
  nl: `aan al alle alles als andere ben bent bij daar dan dat de deze die dit doe doen door dus een eens en er gaan gaat
    ge geen geven goed goede gaat gewoon goedemorgen graag haar had hallo hart hebben hebt heeft heel heb het hem hier
    hij hoe hoeveel hun iets ik in is ja jaar je jij jou jouw jullie kan kunnen kunt kom komt later leven maar maak
    maken man me mee meer men mensen met mij mijn moet moeten morgen mooi na naar nee niet niets nog nooit nu of om omdat
    ons ook op over schrijf te tegen ten toch toen tot u uit uw vaak van veel verhaal vertaal voor vraag waar waarom wanneer
    want waren was wat we weer weet welke wel werd werden wie wij wil worden wordt zal ze zeer zei zeg zich zij zijn zo
    zoals zonder zou zijn dank bedankt dag vandaag
    drinkt eet melk winkel gegaan bent gaat loopt ligt zit staat huis vader moeder broer zus hond kat eten drinken slapen werken werk lopen komen liggen zitten spreken spreekt begrijp vind vindt jongen meisje kinderen vrouw vrienden water jaren jaar weken uur twee drie vier vijf alleen samen altijd soms misschien zelf eigen onze hou houdt hield`,
  pl: `a albo ale ani bardzo bez będzie był była było były być by ci cię co coś czas czego czy czym dla dlaczego do dobry
    dobra dobrze dzień dziękuję dziś gdy gdyby gdzie go i ich ile im inne ja jak jaka jaki jakie jako jego jej jest
    jestem jesteś jeszcze jeśli już kiedy kim który która które kto ktoś lat lub ma mam masz mi mnie moja może można mój
    mu my na nad napisz nas nasz nic nie nigdy niż no o od on ona oni one opowiedz oraz pan po pod proszę przed przez
    przy roku się są siebie swój swoją ta tak także tam te tego tej ten to tobie tu tutaj twoja tylko ty u w we wam was
    według więc witaj wiem wszystko z za ze że żeby znaczy przetłumacz cześć
    pisze miesiącu rodziców domu wszyscy uczniowie poszli której godzinie świata koniec jestem chcę chce chcesz lubię lubi bardziej trzeba wiesz myślę będę będziesz robić robi zrobić dużo mało ludzie człowiek kobieta mężczyzna dziecko dzieci dwa trzy książka praca pracy razem zawsze teraz wczoraj jutro dzisiaj miał miała kupił jadł`,
  cs: `a aby ale ani asi až bude budu by byl byla bylo být bych co což čas dám den děkuji dnes do dobrý dobře ho i ja já
    jak jaká jaký jako je jeho její jejich jen jestli ještě jí jsem jsi jsme jsou jste k kam kde kdo kdy když která které
    který ke kolik má mám máš mě mezi mi mít mně můj může my na nad napiš nebo nebyl nejsem není než nic o od on ona oni
    po pod podle pro proč protože před při prosím s se si sem své svůj ta tady tak také takže tam ten teď to tom tomu toho
    ty u už v ve všechno víc vím vy z za ze že žádný ahoj přelož`,
  sk: `a aby aj ako ale alebo ani ako áno bol bola bolo bude by byť čo či deň dnes do dobrý ešte ho i iba ja je jeho jej
    kde kto keď kedy ktorá ktoré ktorý lebo má mám mi mňa môj môže my na nie niečo o od on ona po pre prečo preto pri s sa
    som si sme sú tak tam tento ten to tu ty už v veľmi viac vo z za že ďakujem ahoj prosím`,
  sl: `a ali bi bil bila bilo biti bo bom da do en ga iz in ja jaz je jih kaj kako ker kdo ki kje ko koliko lahko me mi
    moj na naj ne nekaj ni niso o od on ona pa po pod pri s sem se si smo so sta ste ta tako tam te ti to tudi v več
    vse z za zakaj že živjo hvala prosim ampak kdaj`,
  hr: `a ako ali bi bih bio bila bilo biti će ću da do dobar ga gdje hvala i ih ili im iz ja je jer jesam jesi još ju
    kad kada kako kao koja koje koji koliko li me mi može mogu moj na ne nego nešto ni nije nisam o od on ona oni ovo
    pa po pod pri s sa sam samo se si smo su što sve ta tako te ti to tko u uz već volim vrlo za zašto zar želim dan bok
    molim šta gde ko neki`,
  lt: `ar aš bet bus būti buvo čia daug dabar dar gali ir iš jau jei ji jie jis jų ką kad kada kai kaip kas kiek kodėl koks
    kur labai labas man mane mano mes ne nebuvo nėra nes niekas nuo o su ta tai tas tau tavo tik to tu turi už visi yra
    ačiū prašau`,
  lv: `ar arī bet bija būt cik es esmu gan ir ja jau jo jūs ka kā kad kam kas kāds ko kur ļoti labi man mani mans mēs ne
    nav no par pēc pie šis šī tā tad tam tas te to tu tur un uz vai vairāk viņa viņš viss vēl kāpēc paldies lūdzu`,
  et: `aga ei ega et ja jah jõe ka kas kes kui kuidas kus kõik külla ma me meie mida miks mille minu mina mis mitte mul mu
    mõned nad nagu nii nüüd oli olen oled on oma peab palju sa sain see selle seda siin siis sina sinu ta tema tere tänan
    te üks väga või välja veel`,
  fi: `ei en et että hän he hei hyvä ja jo joka jos kaikki kanssa kiitos kuin kuinka kuka kun kyllä me mikä miksi millainen
    minä minulla minun minä missä mitä mutta myös ne niin nyt olen olet oli olin olla on onko ovat paljon se sen siellä
    sinä sinun sitä tai tämä tässä te tuo vai vain voi voin voit voisitko yksi älä`,
  hu: `a alatt amely ami az azt be csak de egy el én ember és ez ezt fel ha hány hogy hol igen itt jó jobb ki kell köszönöm
    le lehet lesz ma már még meg mert mi miért mikor milyen mint mit mondta nagy nagyon nálam ne nekem nem nincs ő olyan
    ott pedig sem soha szia szeretem te több ti tud utána vagy van volt volna vannak`,
  sv: `alla allt är än att av bara behöver bli blev blir bra då dag de dem den denna det dess detta dig din dina du där
    efter ej eller en er ett finns få får från för gör göra god gå går ha hade han har hej henne hennes hon honom hos hur
    här i icke ingen inte jag kan kom kunde man med mej men mig min mitt mycket många måste nej ni nu när något och också
    om oss på sa sade samma se sedan sig sin ska skulle så säga tack till tror upp ut vad var varför vara vi vid vilken
    vill år åt`,
  da: `af alle at aldrig bare blev blive bliver da de dem den denne der deres det dig din dit du efter ej eller en end er
    et for fordi fra få får gør god ham han har havde have hej hende her hun hvad hvem hvis hvor hvordan hvorfor i ikke
    ind ingen jeg jo kan kom kunne man mange med meget men mig min mit må nej nogen noget nu når og også om op os over på
    se sig sin skal skulle som så tak thi til ud under var vi vil ville være år`,
  nb: `alle at av bare ble bli blir da de deg dem den der dere det din du eg eller en er et etter for fordi fra få får gjør
    god ha hadde han har hei henne her hun hva hvem hvis hvor hvordan hvorfor i ikke ikkje ingen jeg kan kom kunne man mange
    med meg meget men min mitt mye må nei noe noen nå når og også om opp oss på seg si sin skal skulle som så takk til ut
    var vi vil ville være vært år dette`,
  is: `að af á allt ekki en er eru ég ert ef eða frá fyrir ha hann hann hafa hef hún hvað hver hvar hvernig hvers í mér
    mig mjög með minn mín nú nei og okkur sem sig sér sé sína svo til takk um upp var vera við verið það þá þar þau þeir
    þess þetta þig þú því þær`,
  tr: `acaba ama aslında az bana bazı belki ben beni benim bir biri birkaç biz böyle bu buna bunu burada çok çünkü da daha
    de değil diye dün en evet ettim gibi göre güzel hangi hayır hem hep her hiç için ile ise kaç kadar kendi kim kimin
    mı mi mu mü nasıl ne neden nerede nereye nedir niye o olan olarak oldu oldum olduğu olduğunu olur on ona onu onun onlar
    orada sadece sana sen seni senin siz şey şimdi şu tarafından teşekkür tüm üzerinde var ve veya ya yani yaz yok zaman
    merhaba mısın misin istiyorum bugün yarın kaçtır adı`,
  az: `bir bu və ilə üçün mən sən biz siz onlar nə necə harada kim çox daha deyil var yox hə bəli salam təşəkkür olan edir`,
  vi: `ai anh bạn bao bằng bị biết các cái cảm cần chào chỉ cho chưa chúng có có còn của cũng cùng đã đang đây đâu để đến
    đi điều đó được đúng em gì giờ hai hay hãy hơn khi không là lại làm lên mà mình mẹ một muốn nào này nếu ngày người
    nhà nhiều nhiêu những như nó nói năm ở phải ra rất rồi sao sau sẽ số tại tên thế thể thì tôi trên trong trước từ và
    vào vì viết với xin`,
  id: `ada adalah akan aku anda apa apakah atau bagaimana baik banyak berapa bisa boleh bukan buat cara dalam dan dapat dari
    di dia dengan hanya hari harus ini itu jadi jam jangan jika juga kamu kami karena ke kepada kita kalau kapan lagi lebih
    makan mana mau mengapa mereka nama oleh orang pada para pernah saja sangat saya sedang sebagai sekarang semua seperti
    sudah siapa selamat tapi telah tentang terima kasih terjemahkan tetapi tidak tolong tulis untuk yang gambar jelaskan
    bahwa dunia awak boleh ialah iaitu sila`,
  tl: `ako ang ano at ay ba bakit dahil dito gusto hindi ikaw ito iyon ka kami kanya kapag kay ko kumusta kung lahat lang
    mabuti maganda mga mo na nang natin ng ngayon ni nila niya oo paano pero po sa saan salamat sila si sino siya tayo
    wala walang yung isang para may`,
  sw: `alikuwa ambacho ambapo ana au bei bila cha chakula gani habari hadi hao hapa hata hii hiyo hivyo huyu idadi ikiwa ila
    ili ina iwapo jambo je jumla kama kati katika kazi kila kisha kuwa kutoka kwa kwamba kwanini kwenda kwenye la lakini
    lini mara mimi mimi mmoja moja mtu muda na nani nataka ndani ndiyo ngapi ni nini nina nusu pia pesa saa sana sasa si
    siku tafsiri tu vya wa wake wakati wao wapi watu wewe wiki ya yake yao yangu za zaidi zote asante tafadhali`,
  ga: `agat agus an ar as ba bhfuil bhí chun cad cén conas dá de deir do dom duit é ea faoi féin freisin gach go i iad is
    le leis maidin maith mar mé mhaith mo na nach ní níl nuair ó raibh sa seo sé sí sin siad slán tá tú tar thú cathain`,
  cy: `a ac am ar beth bod byddai chi chwi dda dim diolch dw dy dych ddim ei eich eisiau ei'n fel fi gan gyda hi hyn hwn hwyl
    i'n i'r mae mewn mi nad ni nid o o'r oedd os pam pan pwy roedd rwy sut sy sydd ti wedi yma yn yw yr
    be' sy'n bod cariad gen i ddim amser oes yna`,
  la: `ab ac ad aut cum de deus ego ei eius enim erat es esse est et ex hic hoc homo id iam ille in ipse is me mea mihi meus
    nihil non nos nunc ob omnia per possum post potest pro quae quam quid qui quis quia quid quo quod quoque sed semper si
    sic sine sub sum sunt suum te tibi tu ubi vel vero vita vos salve gratias`,
  eo: `al ankaŭ aŭ ĉar ĉi ĉiu ĉu de do ĝi ĝis de en es estas estis esti ĝi ili ili iu ja jam je jes kaj kia kial kie kiel kiu
    kiam kion kun la li mi mia multe ne nek neniu nenio ni nun nur oni per plej pli por povas pri se sed sen si ŝi sia sin
    sub tio tion tiu tiuj tre tro unu vi via volas saluton dankon
    besto inteligenta estas jam la sepa mian vian lia ŝia tiun kiun ankoraŭ volas povas devas havas faras`,
  af: `aan as baie by daar dat dis die dit een ek en gaan geen goeie haar het hierdie hoe hoekom hom hulle hy in is jou julle
    jy kan maar met moet my na nie nog nou om ons ook op oor sal se sê so sy te toe tot van vir waar wanneer was wat weet
    wie word dankie asseblief`,
  oc: `a al amb anar aquel aquela aquò atal avèm aver ben bon bona cal coma çò que del dels diga donc dins doas el ela era
    es èra èran es èsser eu fa far foguèt i ieu la las li lo los mai mas me meteis monde mon nòstre non ont o òc òm per
    pas perque plan podètz pòdi pòt que qu' quand qual quin s' sabi segur son soi sus te ten totes tot trop tròba tu un una
    vos vòl vòli
    amor qu'es paucs un amic es dins aqueste aquesta sèm avètz`,
  ast: `a agora al asina axuda bona ca caún collo col cola comu con cuándo d' dalgún de del delles dempués dende el ella
    ellos en enforma entós equí esi esta esti esto foi fai fixo falar gustaría ha hai home l' la les llingua lo los llue
    lluego llugar má yá más munchu munches mui muncho na nada naide non nos nun nuna o onde otru otros pa pela pola pol
    porque pue puen que quien quier rapaz si son ta tán tamién tien tienen to toos tu una unu vas vusté xente yera yeren
    yes ye
    diz ye que'l del monstruu nun se res unicorniu fabulosu tiempu muncho tolo tola guapu bonu malu ficieron tuvo facer`,
  sq: `a ai ajo andej ata atë bëj çdo çfarë do duhet dua e është faleminderit i ishte ishin jam janë je jeni ju ka kam kanë
    ke këtë ku kur kush më mund një në nga njerëz nuk pa para po por për përse pse që sa se si sot shumë të ti tij tha
    unë vetëm kjo ky mirë
    pëlqejnë kuajt shkruaje emrin tend me shkronja është`,
  mt: `huwa hija ta' li u il l' dan din mhux għal kif xi x' jien int aħna dwar fejn għandi għandek`,
};

/** Endings of longer words by which they give their language away. */
export const otherEndings: Readonly<Record<string, string>> = {
  fr: "eux euse euses aient erez ée ées erait",
  de: "ung ungen keit keiten heit lich liche lichen isch ische ischen schaft",
  it: "zione zioni aggio ezza ezze atta atto atti otto otta essa esse isce iscono ebbe occhio uzzo issimo issima",
  pt: "ção ções ões inho inha agem agens lhos lhas aram",
  ca: "ció cions itat atge atges",
  nl: "lijk lijke heid ijke isch ische tje tjes",
  pl: "ych ego owa owy owej ości ację emu",
  ro: "ului ilor ești ează ului ător",
  tr: "iyor ıyor uyor üyor ların lerin larda lerde dır dir mak mek nın",
  fi: "ssa ssä lla llä inen isen isia ksi vat vät",
  eu: "tzen tzea etan aren tzeko koak renak tasun",
  id: "nya annya inya ukan ikan akan",
  eo: "ojn ajn oj aj",
  sv: "ningen arna orna heten elser erne",
};
